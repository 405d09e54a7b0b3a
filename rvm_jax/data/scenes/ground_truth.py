"""Ground truth of generated scenes: point tracks, visibility and boxes."""

import dataclasses

import mujoco
import numpy as np

from rvm_jax.data.scenes import physics
from rvm_jax.data.scenes import raycast

# A point is hidden if it lies farther than this, in metres, behind the surface
# that is seen in its direction.
_HIDDEN = 0.005
# No points are chosen beyond this depth in metres.
_FAR = 50.0


@dataclasses.dataclass(frozen=True)
class Scene:
  """Frames of a clip and their ground truth: F frames, O objects, P points.

  Attributes:
    frame_numbers: numbers of these frames in the clip, int64 [F].
    frames: RGB, uint8 [F, H, W, 3].
    segments: the object at each pixel's centre, uint8 [F, H, W]: 1 to O, or 0
      for the background (floor, walls and sky).
    depth: depth along the optical axis at each pixel's centre, float32
      [F, H, W], metres; inf in the sky.
    tracks: positions (x, y) of points of surfaces in each frame, float32
      [P, F, 2], pixels; (0.5, 0.5) is the centre of the first pixel. Points
      that are hidden or outside the frame have positions too; points behind the
      camera have nan.
    visible: whether a point is inside the frame and nothing hides it, bool
      [P, F].
    track_segments: the object that each point is on, uint8 [P]; 0 for the
      background.
    boxes: boxes (x0, y0, x1, y1) around the visible part of each object,
      float32 [O, F, 4], pixels; nan where no part is visible.
    poses: camera-to-world matrices, float64 [F, 4, 4], metres. The camera's
      axes are x right, y down, z forward; the world's z points up.
    intrinsics: camera-to-pixel matrix (homogeneous), float64 [3, 3].
    motion: class of the camera's motion, an index into MOTIONS.
  """

  frame_numbers: np.ndarray
  frames: np.ndarray
  segments: np.ndarray
  depth: np.ndarray
  tracks: np.ndarray
  visible: np.ndarray
  track_segments: np.ndarray
  boxes: np.ndarray
  poses: np.ndarray
  intrinsics: np.ndarray
  motion: int


def choose_pixels(
    rng: np.random.Generator,
    segments: np.ndarray,
    depth: np.ndarray,
    num: int,
) -> np.ndarray:
  """Samples pixels to follow: half on objects, half on the background.

  If one of the two groups has no pixel, all are sampled from the other. A pixel
  is sampled more than once only where its group has too few.

  Args:
    rng: random generator.
    segments: object at each pixel, from 1, or 0 for the background, uint8
      [H, W].
    depth: depth at each pixel, float32 [H, W], metres; inf in the sky.
    num: number of pixels P.

  Returns:
    Rows and columns of the pixels, int [2, P].

  Raises:
    ValueError: no surface is within 50 m, and num is not 0.
  """
  # Indices of the pixels of the two groups, and how many to take of each.
  is_near = depth < _FAR
  objects = np.flatnonzero((segments > 0) & is_near)
  background = np.flatnonzero((segments == 0) & is_near)
  if num and not objects.size + background.size:
    raise ValueError(
        'track_frame: no surface to choose points on is in view. Choose another'
        ' frame, or set num_tracks=0.'
    )
  num_on_objects = num // 2 if background.size else num
  num_on_objects *= objects.size > 0
  counts = (objects, num_on_objects), (background, num - num_on_objects)
  pixels = np.concatenate(
      [
          rng.choice(group, count, replace=count > group.size)
          for group, count in counts
      ]
  )
  return np.stack(np.divmod(pixels, segments.shape[1]))


def attach_points(
    data: mujoco.MjData,
    pose: np.ndarray,
    intrinsics: np.ndarray,
    pixels: np.ndarray,
    depth: np.ndarray,
    bodies: np.ndarray,
) -> np.ndarray:
  """Converts points that are seen at pixels to the axes of their bodies.

  Args:
    data: MuJoCo state of the frame in which the points are seen.
    pose: camera-to-world matrix of that frame, float64 [4, 4], metres.
    intrinsics: camera-to-pixel matrix, float64 [3, 3].
    pixels: positions (x, y) of the points in that frame, float64 [P, 2].
    depth: depths of the points in that frame, float [P], metres.
    bodies: MuJoCo bodies that the points are on, int [P].

  Returns:
    Positions of the points in the axes of their bodies, float64 [P, 3], metres.
  """
  # Pixels to rays of unit depth, in the axes of the world; rays to points;
  # points to the axes of their bodies.
  rays = np.concatenate([pixels, np.ones((len(pixels), 1))], 1)
  rays = rays @ np.linalg.inv(intrinsics).T @ pose[:3, :3].T
  offsets = pose[:3, 3] + rays * depth[:, None] - data.xpos[bodies]
  frames = data.xmat.reshape(-1, 3, 3)[bodies]
  return np.einsum('pji,pj->pi', frames, offsets)


def follow_points(
    world: physics.World,
    data: mujoco.MjData,
    pose: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    places: np.ndarray,
    bodies: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
  """Projects points that are fixed to bodies into a frame.

  Args:
    world: the world of the bodies.
    data: MuJoCo state of the world in that frame.
    pose: camera-to-world matrix of that frame, float64 [4, 4], metres.
    intrinsics: camera-to-pixel matrix, float64 [3, 3].
    size: (width, height) of the frame in pixels.
    places: positions of the points in the axes of their bodies, float64 [P, 3],
      metres, as returned by `attach_points`.
    bodies: MuJoCo bodies that the points are on, int [P].

  Returns:
    pixels: positions (x, y), float64 [P, 2]; nan behind the camera.
    visible: whether a point is inside the frame and nothing hides it, bool [P].
  """
  # Points in the axes of the world, and then in pixels.
  frames = data.xmat.reshape(-1, 3, 3)[bodies]
  points = np.einsum('pij,pj->pi', frames, places) + data.xpos[bodies]
  eye = pose[:3, 3].copy()
  rays = points - eye
  projected = rays @ pose[:3, :3] @ intrinsics.T
  depth = projected[:, 2:]
  pixels = projected[:, :2] / np.where(depth > 0, depth, np.nan)
  inside = ((pixels >= 0) & (pixels < size)).all(1)
  # A point is visible if the ray from the camera to it meets no surface before
  # the point. `reached` is the fraction of the way at which the ray meets the
  # first surface, and `shortfall` what is left of the way in metres. A ray that
  # meets nothing (-1) has grazed past the edge of the surface that the point is
  # on.
  _, reached = raycast.cast(world.model, data, eye, rays)
  shortfall = (1 - reached) * np.linalg.norm(rays, axis=1)
  return pixels, inside & ((shortfall < _HIDDEN) | (reached < 0))


def find_boxes(segments: np.ndarray, num_objects: int) -> np.ndarray:
  """Computes boxes around the visible pixels of objects.

  Args:
    segments: object at each pixel, from 1 to num_objects, uint8 [F, H, W]; 0
      for the background.
    num_objects: number of objects O.

  Returns:
    Boxes (x0, y0, x1, y1), float32 [O, F, 4], pixels; nan where no pixel shows
    the object.
  """
  boxes = np.full((num_objects, len(segments), 4), np.nan, np.float32)
  for f, segment in enumerate(segments):
    for number in np.unique(segment[segment > 0]):
      rows, columns = np.nonzero(segment == number)
      boxes[number - 1, f] = (
          columns.min(),
          rows.min(),
          columns.max() + 1,
          rows.max() + 1,
      )
  return boxes
