"""Clips of generated scenes with the ground truth of all tasks.

A clip is a few evenly spaced frames of a scene. Clips start at places spread
evenly over the camera's path, and every second clip runs backwards. So a set of
frames without their order is as likely to show a motion of the camera as its
reverse. A single frame whose place in the clip is known still gives a hint: a
first frame that tilts to the left makes a roll to the right more likely. The
hint is weaker for longer paths; docs/scenes.md says how strong it is.

With given settings, a clip depends on its split and number alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from rvm_jax.data import workers as workers_lib
from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.propagation import masks
from rvm_jax.storage import fingerprints

MOTIONS = source_lib.MOTIONS
MAX_OBJECTS = 8
# Seed of the scenes. Do not train with it, so that no encoder is pretrained on
# these scenes.
_SEED = 4_000_037
# Number of clips that a worker process generates before it returns them.
_CHUNK_SIZE = 8


class NamedExample(NamedTuple):
  """A generated clip with its ground truth.

  Attributes:
    name: split and number, such as 'held_out_3'.
    example: arrays by name, as returned by `SceneClips.generate`.
  """

  name: str
  example: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class SceneClips:
  """The clips of a split, generated one by one.

  Attributes:
    split: 'train' or 'held_out'; the two share no scene.
    height: H, in pixels.
    width: W, in pixels.
    num_frames: T, at least 2.
    stride: distance between two frames of a clip, in frames of the scene, which
      has 24 a second.
    path: number of frames of the scene in which the camera completes its
      motion; a multiple of num_frames * stride.
    num_points: Q, number of point tracks.
    min_share: smallest share of the first frame's pixels, in [0, 1], that an
      object must cover to be followed.

  Raises:
    ValueError: `num_frames` is below 2, or `path` is not such a multiple.
  """

  split: str
  height: int
  width: int
  num_frames: int
  stride: int
  path: int
  num_points: int
  min_share: float

  def __post_init__(self):
    span = self.num_frames * self.stride
    if self.num_frames < 2 or self.path % span:
      raise ValueError(
          'path must be a multiple of num_frames * stride, and num_frames at'
          f' least 2, got path={self.path}, num_frames={self.num_frames} and'
          f' stride={self.stride}'
      )

  def generate(self, number: int) -> dict[str, np.ndarray]:
    """Generates a clip and its ground truth.

    Args:
      number: number of the clip, at least 0.

    Returns:
      'frames': uint8 [T, H, W, 3], RGB.
      'segments': uint8 [T, H, W], the number of the followed object that a
        pixel shows, from 1; 0 elsewhere.
      'label': int32 [], the camera's motion as an index into MOTIONS.
      'tracks': float32 [Q, T, 2], (x, y) in pixels of points that are chosen in
        the clip's first frame; (0, 0) where a point is behind the camera.
      'visible': bool [Q, T], whether a point is in the frame and not hidden.
      'boxes': float32 [MAX_OBJECTS, T, 4], (x0, y0, x1, y1) in pixels around
        the visible part of each followed object; nan in frames in which no part
        of it is visible. Rows beyond the number of followed objects are nan.
      'depth': float32 [T, H, W], metres; 0 in the sky.
      'cameras': float32 [T, 12], for each frame the rotation, row by row, and
        the translation in metres that take points from the axes of the first
        camera (x right, y down, z forward) to those of this frame's camera.
      'pose': float32 [12], the last row of 'cameras'.
      'intrinsics': float32 [3, 3], the matrix that takes a point in the axes of
        a camera to its homogeneous pixel coordinates.
    """
    source = source_lib.Scenes(
        number + 1, self.height, self.width, _SEED, self.split
    )
    # The number of a clip decides its direction and start. The motion of the
    # camera does not depend on it, so these two tell nothing about the label.
    is_backwards = number % 2
    span = self.num_frames * self.stride
    start = number // 2 % (self.path // span) * span
    times = list(range(start, start + span, self.stride))
    if is_backwards:
      times.reverse()
    scene = source_lib.generate(
        source.scene_seed(number),
        height=self.height,
        width=self.width,
        num_frames=self.path,
        frames=times,
        num_tracks=self.num_points,
        track_frame=times[0],
    )
    followed = masks.choose_objects(scene.segments[0], self.min_share)
    boxes = np.full((MAX_OBJECTS, self.num_frames, 4), np.nan, np.float32)
    boxes[: len(followed)] = scene.boxes[followed - 1]
    is_ahead = np.isfinite(scene.tracks).all(-1)
    # `poses` take points from each camera to the world; `moves` take points
    # from the first camera to each camera.
    moves = np.linalg.inv(scene.poses) @ scene.poses[0]  # [T, 4, 4]
    cameras = np.concatenate(
        [moves[:, :3, :3].reshape(-1, 9), moves[:, :3, 3]], 1
    ).astype(np.float32)
    return {
        'frames': scene.frames,
        'segments': masks.renumber(scene.segments, followed),
        # A motion and its reverse have numbers that differ in the last bit.
        'label': np.int32(scene.motion ^ is_backwards),
        'tracks': np.where(is_ahead[..., None], scene.tracks, 0),
        'visible': scene.visible & is_ahead,
        'boxes': boxes,
        'depth': np.where(np.isfinite(scene.depth), scene.depth, 0),
        'pose': cameras[-1],
        'cameras': cameras,
        'intrinsics': scene.intrinsics.astype(np.float32),
    }


def generate(
    clips: SceneClips,
    numbers: Sequence[int],
    map_: Callable = map,
    check: Callable[[], None] = lambda: None,
) -> list[NamedExample]:
  """Generates clips of a split and holds all of them in memory.

  Args:
    clips: settings of the clips, with their split.
    numbers: numbers of the clips to generate.
    map_: function that is called like `map`. By default clips are generated in
      this process; the function that `start_workers` yields uses others.
    check: function that is called after each clip. It may raise an error to
      stop.

  Returns:
    The clips in the order of `numbers`.
  """
  examples = []
  for number, example in zip(numbers, map_(clips.generate, numbers)):
    examples.append(NamedExample(f'{clips.split}_{number}', example))
    check()
  return examples


@contextlib.contextmanager
def start_workers(num_workers: int) -> Iterator[Callable]:
  """Starts worker processes and yields a `map` that runs in them.

  The workers end when the process that has started them ends, even if it is
  killed. They ignore signals to stop, which may be sent to a whole group of
  processes, so that only the process that has started them acts on a signal.

  Args:
    num_workers: number of worker processes; with 0 the plain `map` is yielded.
  """
  if not num_workers:
    yield map
    return
  with workers_lib.Pool(num_workers) as pool:
    try:
      yield functools.partial(pool.map, chunksize=_CHUNK_SIZE)
    finally:
      pool.shutdown(cancel_futures=True)


def fingerprint(examples: Sequence[NamedExample]) -> str:
  """Returns a hash over the frames and ground truth of clips.

  The names of the clips are not hashed. The intrinsics are hashed under the key
  'lens', their name in earlier versions, so that the hashes of older results
  stay valid.

  Args:
    examples: the clips.
  """

  def parts():
    for _, example in examples:
      renamed = {k: x for k, x in example.items() if k != 'intrinsics'}
      renamed |= {'lens': example['intrinsics']}
      for key, value in sorted(renamed.items()):
        yield f'{key} {value.dtype} {value.shape}'.encode()
        yield value.tobytes()

  return fingerprints.hash_parts(parts())
