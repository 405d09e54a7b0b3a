"""Generated scenes: video with exact ground truth from an integer seed.

Objects fall, roll and collide on a floor, some of them between walls. A lamp
casts shadows, and the camera moves. `physics` makes the world, `appearance` its
materials, light and camera, `render` the pixels, and `ground_truth` says where
things are. This module turns a seed into frames, into ground truth, or into a
record of a data source.

A scene depends on its seed alone: not on other scenes, on the process, or on
which frames are asked for. Across kinds of machines the last bit of a float may
differ (SIMD instructions, the C library), so a grey level may differ by one.

The camera moves in one of the classes MOTIONS, which come in pairs: a clip of
class m that is shown backwards is of class m ^ 1. The class is independent of
the rest of the scene. But things fall down and not up: that can give away the
order of the frames, and so tell a class from its pair. A benchmark that asks
for the class shows half of its clips backwards. Then a set of frames without
their order is as likely to be of a class as of its pair.
"""

from collections.abc import Sequence
import operator

import numpy as np

from rvm_jax.data import records
from rvm_jax.data.scenes import appearance
from rvm_jax.data.scenes import ground_truth
from rvm_jax.data.scenes import physics
from rvm_jax.data.scenes import render as render_lib

FRAME_RATE = physics.FRAME_RATE
MOTIONS = appearance.MOTIONS
Scene = ground_truth.Scene
SPLITS = ('train', 'held_out')
# Length of a clip, unless another one is asked for.
NUM_FRAMES = 64


def render(
    seed: int,
    *,
    height: int,
    width: int,
    num_frames: int = NUM_FRAMES,
    frames: Sequence[int] | None = None,
) -> np.ndarray:
  """Renders frames of a scene, without its ground truth.

  Args:
    seed: seed of the scene, 0 or more.
    height: height H of the frames in pixels.
    width: width W of the frames in pixels.
    num_frames: length of the clip, which the camera's motion fills.
    frames: numbers of the F frames to render, in [0, num_frames), in any order;
      None for all.

  Returns:
    RGB, uint8 [F, H, W, 3].

  Raises:
    ValueError: a number is out of its range.
  """
  stage = _Stage(seed, height, width, num_frames)
  numbers = _check_frames('frames', frames, num_frames)
  pixels = np.empty((len(numbers), height, width, 3), np.uint8)
  for f, number in enumerate(numbers):
    pixels[f] = stage.renderer.render(number, num_frames)[0]
  return pixels


def generate(
    seed: int,
    *,
    height: int,
    width: int,
    num_frames: int = NUM_FRAMES,
    frames: Sequence[int] | None = None,
    num_tracks: int = 64,
    track_frame: int = 0,
) -> Scene:
  """Renders frames of a scene and computes their ground truth.

  Args:
    seed: seed of the scene, 0 or more.
    height: height H of the frames in pixels.
    width: width W of the frames in pixels.
    num_frames: length of the clip, which the camera's motion fills.
    frames: numbers of the F frames to render, in [0, num_frames), in any order;
      None for all.
    num_tracks: number of points P to follow.
    track_frame: number of the frame at whose pixels' centres the points are
      chosen: half of them on objects and half on floor and walls, as far as
      both are in view.

  Returns:
    The frames, which equal those of `render`, and their ground truth.

  Raises:
    ValueError: a number is out of its range, or no surface is in view to choose
      points on.
  """
  stage = _Stage(seed, height, width, num_frames)
  numbers = _check_frames('frames', frames, num_frames)
  _check_frames('track_frame', [track_frame], num_frames)
  _check_integer('num_tracks', num_tracks, 0)
  world, camera, renderer = stage.world, stage.camera, stage.renderer
  focal = renderer.focal_length
  intrinsics = np.array(
      [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]
  )

  # Choose points in one frame, and find out where on their bodies they are.
  # Body 0 is the world; the others are the objects, numbered as segments are.
  _, segment, far = renderer.render(track_frame, num_frames)
  rows, columns = ground_truth.choose_pixels(
      stage.points_rng, segment, far, num_tracks
  )
  bodies = segment[rows, columns]
  places = ground_truth.attach_points(
      world.pose(track_frame),
      camera.pose(track_frame, num_frames),
      intrinsics,
      np.stack([columns, rows], 1) + 0.5,
      far[rows, columns],
      bodies,
  )

  # Render each frame, and project the points into it.
  num = len(numbers)
  pixels = np.empty((num, height, width, 3), np.uint8)
  segments = np.empty((num, height, width), np.uint8)
  depth = np.empty((num, height, width), np.float32)
  poses = np.empty((num, 4, 4))
  tracks = np.empty((num_tracks, num, 2), np.float32)
  visible = np.empty((num_tracks, num), bool)
  for f, number in enumerate(numbers):
    pixels[f], segments[f], depth[f] = renderer.render(number, num_frames)
    poses[f] = camera.pose(number, num_frames)
    tracks[:, f], visible[:, f] = ground_truth.follow_points(
        world,
        world.pose(number),
        poses[f],
        intrinsics,
        (width, height),
        places,
        bodies,
    )
  return Scene(
      frame_numbers=np.array(numbers, np.int64),
      frames=pixels,
      segments=segments,
      depth=depth,
      tracks=tracks,
      visible=visible,
      track_segments=bodies,
      boxes=ground_truth.find_boxes(segments, world.num_objects),
      poses=poses,
      intrinsics=intrinsics,
      motion=camera.motion,
  )


class Scenes:
  """A source whose clips are generated scenes of 64 frames, one record each.

  Scene i of a split and seed is the same for any number of scenes. Two sets
  with different splits or seeds have no scene in common.
  """

  def __init__(
      self,
      num_scenes: int,
      height: int,
      width: int,
      seed: int = 0,
      split: str = 'train',
  ):
    """Chooses a set of scenes.

    Args:
      num_scenes: number of scenes, at most 2 ** 32.
      height: height of the frames in pixels.
      width: width of the frames in pixels.
      seed: number of the set, 0 or more.
      split: 'train', or 'held_out' for scenes to evaluate on.

    Raises:
      ValueError: a number is out of its range, or there is no such split.
    """
    _check_integer('num_scenes', num_scenes, 1)
    if num_scenes > 1 << 32:
      raise ValueError(f'num_scenes={num_scenes}: expected at most 2 ** 32.')
    if split not in SPLITS:
      raise ValueError(f'split={split!r}: expected one of {SPLITS}.')
    _check_integer('seed', seed, 0)
    _check_integer('height', height, 1)
    _check_integer('width', width, 1)
    self._num_scenes = num_scenes
    self._height, self._width = height, width
    self._seed, self._split = seed, split

  def __len__(self) -> int:
    return self._num_scenes

  def __getitem__(self, index: int) -> records.Record:
    """Returns the record of scene `index`.

    Raises:
      IndexError: the source has no such scene.
    """
    seed = self.scene_seed(index)

    def read(frames):
      return render(seed, height=self._height, width=self._width, frames=frames)

    return records.Record(
        clip=np.array([index, 0], np.int64),
        num_frames=NUM_FRAMES,
        window=(0, NUM_FRAMES),
        frame_rate=FRAME_RATE,
        read=read,
    )

  def scene_seed(self, index: int) -> int:
    """Returns the seed with which `generate` makes scene `index`.

    Raises:
      IndexError: the source has no such scene.
    """
    if not 0 <= index < self._num_scenes:
      raise IndexError(
          f'expected a scene in [0, {self._num_scenes}), got {index}.'
      )
    split = SPLITS.index(self._split)
    return (self._seed << 33) | (split << 32) | int(index)

  def describe(self, clip: np.ndarray) -> str:
    """Returns a readable name of the scene of a record's `clip`, int64 [2]."""
    index = int(clip[0])
    return f'{self._split} scene {index} (seed {self.scene_seed(index)})'

  def fingerprint(self) -> str:
    """Returns the name of the set, which decides what its scenes are."""
    return f'{self._split}, seed {self._seed}'


class _Stage:
  """The parts of a scene: a world, a camera and a renderer.

  Attributes:
    world: the physics.World.
    camera: the appearance.Camera.
    renderer: the render.Renderer of this world and camera.
    points_rng: random generator for the points to track.
  """

  def __init__(self, seed, height, width, num_frames):
    _check_integer('seed', seed, 0)
    _check_integer('height', height, 1)
    _check_integer('width', width, 1)
    _check_integer('num_frames', num_frames, 1)
    # A random generator for each part, so that no part changes if another part
    # samples more or fewer numbers.
    world_rng, appearance_rng, camera_rng, motion_rng, self.points_rng = (
        np.random.Generator(np.random.PCG64(stream))
        for stream in np.random.SeedSequence(seed).spawn(5)
    )
    self.world = physics.World(world_rng)
    self.camera = appearance.Camera(camera_rng, motion_rng)
    self.renderer = render_lib.Renderer(
        self.world,
        appearance.Appearance(
            appearance_rng, self.world.num_planes, self.world.num_objects
        ),
        self.camera,
        height,
        width,
    )


def _check_frames(name, frames, num_frames):
  """Returns frame numbers as a sequence of int; refuses those out of range."""
  numbers = range(num_frames) if frames is None else frames
  numbers = [operator.index(number) for number in numbers]
  for number in numbers:
    if not 0 <= number < num_frames:
      raise ValueError(
          f'{name}: expected frame numbers in [0, {num_frames}), got {number}.'
      )
  return numbers


def _check_integer(name, value, least):
  """Raises ValueError, which names the argument, if it is less than `least`."""
  if operator.index(value) < least:
    raise ValueError(f'{name}={value}: expected at least {least}.')
