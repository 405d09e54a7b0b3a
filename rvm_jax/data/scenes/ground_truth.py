"""Ground truth of generated scenes: point tracks, visibility and boxes."""

import dataclasses

import numpy as np

from rvm_jax.data.scenes import raycast

_HIDDEN = 0.005  # A point this far (m) behind what is seen is hidden.
_FAR = 50.0  # No points are chosen beyond this depth (m).


@dataclasses.dataclass(frozen=True)
class Scene:
  """Frames of a clip and what is true of them. F frames, O objects, P points.

  Attributes:
    frame_numbers: int64 [F], which frames of the clip these are.
    frames: uint8 [F, H, W, 3], RGB.
    segments: uint8 [F, H, W], the object at each pixel's centre: 1..O, or 0 for
      the background (floor, walls, sky).
    depth: float32 [F, H, W], metres along the optical axis at the pixel's
      centre; inf in the sky.
    tracks: float32 [P, F, 2], where points of surfaces are in each frame: (x,
      y) in pixels; the centre of the first pixel is (0.5, 0.5). Points that
      are hidden or beyond the frame have places too; nan behind the camera.
    visible: bool [P, F], whether the point is in the frame and nothing is
      before it.
    track_segments: uint8 [P], the object each point is on, 0 for background.
    boxes: float32 [O, F, 4], (x0, y0, x1, y1) in pixels around the visible part
      of each object; nan where none of it is visible.
    poses: float64 [F, 4, 4], camera to world in metres; camera axes x right,
      y down, z forward, world axis z up.
    intrinsics: float64 [3, 3], camera to homogeneous pixels.
    motion: int, the camera's motion, an index into MOTIONS.
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
  """Chooses pixels to follow: half on objects, half on the background.

  Args:
    rng: draws them. Pixels are drawn twice only when there are too few.
    segments: uint8 [H, W], 0 for the background.
    depth: float32 [H, W], metres.
    num: how many.

  Returns:
    rows and columns, int [2, num].

  Raises:
    ValueError: there is no surface within 50 m.
  """
  is_near = depth < _FAR
  objects = np.flatnonzero((segments > 0) & is_near)
  background = np.flatnonzero((segments == 0) & is_near)
  if num and not objects.size + background.size:
    raise ValueError('track_frame: no surface to choose points on is in view.')
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


def attach_points(data, pose, intrinsics, pixels, depth, bodies) -> np.ndarray:
  """Fixes points to the bodies they are on.

  Args:
    data: MuJoCo state of the frame in which they are seen.
    pose: float64 [4, 4], camera to world; intrinsics: float64 [3, 3].
    pixels: float64 [P, 2], (x, y); depth: float [P], metres.
    bodies: int [P].

  Returns:
    float64 [P, 3], places in the frames of the bodies.
  """
  rays = np.concatenate([pixels, np.ones((len(pixels), 1))], 1)
  rays = rays @ np.linalg.inv(intrinsics).T @ pose[:3, :3].T
  offsets = pose[:3, 3] + rays * depth[:, None] - data.xpos[bodies]
  frames = data.xmat.reshape(-1, 3, 3)[bodies]
  return np.einsum('pji,pj->pi', frames, offsets)


def follow_points(world, data, pose, intrinsics, size, places, bodies):
  """Where points fixed to bodies are in another frame.

  Args:
    world: a physics.World; data: its MuJoCo state in that frame.
    pose, intrinsics, bodies: as for `attach_points`; places: what it returned.
    size: (width, height) in pixels.

  Returns:
    (x, y) float64 [P, 2], nan behind the camera; visible bool [P]: inside the
    frame, and the first thing that its ray meets.
  """
  frames = data.xmat.reshape(-1, 3, 3)[bodies]
  points = np.einsum('pij,pj->pi', frames, places) + data.xpos[bodies]
  eye = pose[:3, 3].copy()
  rays = points - eye
  projected = rays @ pose[:3, :3] @ intrinsics.T
  depth = projected[:, 2:]
  pixels = projected[:, :2] / np.where(depth > 0, depth, np.nan)
  inside = ((pixels >= 0) & (pixels < size)).all(1)
  _, reached = raycast.cast(world.model, data, eye, rays)
  shortfall = (1 - reached) * np.linalg.norm(rays, axis=1)
  # A ray that meets nothing has grazed past the edge of what the point is on.
  return pixels, inside & ((shortfall < _HIDDEN) | (reached < 0))


def find_boxes(segments: np.ndarray, num_objects: int) -> np.ndarray:
  """Boxes around the visible pixels of objects.

  Args:
    segments: uint8 [F, H, W], objects are 1..num_objects.
    num_objects: O.

  Returns:
    float32 [O, F, 4], (x0, y0, x1, y1) in pixels; nan for an unseen object.
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
