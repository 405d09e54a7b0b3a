"""Clips of generated scenes with the ground truth of all tasks.

A clip is a few evenly spaced frames of a scene. Clips start at places spread
evenly over the camera's path, and every second one runs backwards, so that only
the order of the frames tells which way the camera moves. (If the place of a
frame in the clip is known, a single frame still gives a hint: a first frame
that tilts to the left makes a roll to the right more likely. The longer the
path, the weaker the hint; docs/scenes.md has measured it.)

A clip depends on its split and number alone.
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
# Runs are not given this seed: no encoder is pretrained on these scenes.
_SEED = 4_000_037
# Clips that a process generates before it hands them over.
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
    path: number of frames in which the camera completes its motion; a multiple
      of num_frames * stride.
    num_points: P, number of point tracks.
    min_share: smallest share of the first frame that an object must cover to
      be followed.
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
      'tracks': float32 [P, T, 2], (x, y) in pixels of points chosen in the
        first frame; (0, 0) where a point is behind the camera.
      'visible': bool [P, T], whether a point is in the frame and not hidden.
      'boxes': float32 [MAX_OBJECTS, T, 4], (x0, y0, x1, y1) in pixels around
        the visible part of each followed object; nan where none is visible and
        in the rows of objects that the clip does not have.
      'depth': float32 [T, H, W], metres; 0 in the sky.
      'cameras': float32 [T, 12], for each frame the rotation, row by row, and
        the translation in metres that take points from the axes of the first
        camera (x right, y down, z forward) to those of this frame's camera.
      'pose': float32 [12], the last row of 'cameras'.
      'intrinsics': float32 [3, 3], camera to homogeneous pixels.
    """
    source = source_lib.Scenes(
        number + 1, self.height, self.width, _SEED, self.split
    )
    # The camera's motion is sampled independently of the number, so neither the
    # direction nor the start of a clip tells anything about its label.
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
    # `poses` are camera to world; these are first camera to each camera.
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
  """Generates clips of a split, all of them in memory.

  Args:
    clips: the split.
    numbers: numbers of the clips.
    map_: a function like `map`, such as `start_workers` yields.
    check: function that is called after each clip, and may raise to stop.
  """
  examples = []
  for number, example in zip(numbers, map_(clips.generate, numbers)):
    examples.append(NamedExample(f'{clips.split}_{number}', example))
    check()
  return examples


@contextlib.contextmanager
def start_workers(num_workers: int) -> Iterator[Callable]:
  """Starts processes and yields a `map` that runs in them.

  The processes end with this one, however it ends. A signal that is sent to the
  whole group of processes is left to this process to act on.

  Args:
    num_workers: number of processes; with 0 the plain `map` is yielded.
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
  """Returns a hash over frames and ground truth, not over names.

  The intrinsics are hashed under their former name, 'lens', so that results
  from before it was changed can still be compared.
  """

  def parts():
    for _, example in examples:
      renamed = {k: x for k, x in example.items() if k != 'intrinsics'}
      renamed |= {'lens': example['intrinsics']}
      for key, value in sorted(renamed.items()):
        yield f'{key} {value.dtype} {value.shape}'.encode()
        yield value.tobytes()

  return fingerprints.hash_parts(parts())
