"""Clips of generated scenes with the truth of all tasks: see docs/scenes.md.

A clip is a few frames of a scene, evenly spaced. Clips begin at places spread
evenly over the camera's path, and half of them are shown backwards: which way
the camera moves, only the order of frames can tell. (A single frame of known
number can hint at it: a first frame that tilts to the left makes a roll to the
right likelier. The longer the path, the less.)

A clip follows from its split and number alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
from multiprocessing import resource_tracker
import signal
from typing import NamedTuple

import numpy as np

from rvm_jax.data import workers as workers_lib
from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.propagation import masks
from rvm_jax.storage import fingerprints

MOTIONS = source_lib.MOTIONS
MAX_OBJECTS = 8
# Unlike the seeds of runs: what a readout is fitted to, no encoder has seen.
_SEED = 4_000_037
_AT_ONCE = 8  # Clips that a process draws in one go.


@dataclasses.dataclass(frozen=True)
class Clips:
  """What clips look like.

  Attributes:
    split: 'train' or 'held_out'; they share no scene.
    height, width: H and W, in pixels.
    num_frames: T.
    stride: frames from one to the next, at 24 a second.
    path: frames in which the camera goes its whole way; a multiple of
      num_frames * stride.
    num_points: P.
    min_share: an object that covers less of the first frame is not followed.
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

  def draw(self, number: int) -> dict[str, np.ndarray]:
    """Draws a clip.

    Returns:
      'frames' uint8 [T, H, W, 3];
      'segments' uint8 [T, H, W]: the objects to follow, from 1; 0 elsewhere;
      'label' int32 []: the camera's motion, an index into MOTIONS;
      'tracks' float32 [P, T, 2]: (x, y) in pixels of points chosen in the first
        frame; 0 behind the camera; 'visible' bool [P, T];
      'boxes' float32 [8, T, 4]: (x0, y0, x1, y1) in pixels around what is
        visible of each object to follow, nan where nothing is;
      'depth' float32 [T, H, W]: metres, 0 in the sky;
      'pose' float32 [12]: rotation, row by row, and translation (m) that take
        points from the first camera's axes (x right, y down, z ahead) to the
        last one's;
      'cameras' float32 [T, 12]: the same, from the first to each;
      'lens' float32 [3, 3]: camera to homogeneous pixels.
    """
    source = source_lib.Scenes(
        number + 1, self.height, self.width, _SEED, self.split
    )
    # The motion has nothing to do with the number: it is drawn on its own.
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
    moves = np.linalg.inv(scene.poses) @ scene.poses[0]
    cameras = np.concatenate(
        [moves[:, :3, :3].reshape(-1, 9), moves[:, :3, 3]], 1
    ).astype(np.float32)
    return {
        'frames': scene.frames,
        'segments': masks.renumber(scene.segments, followed),
        'label': np.int32(scene.motion ^ is_backwards),
        'tracks': np.where(is_ahead[..., None], scene.tracks, 0),
        'visible': scene.visible & is_ahead,
        'boxes': boxes,
        'depth': np.where(np.isfinite(scene.depth), scene.depth, 0),
        'pose': cameras[-1],
        'cameras': cameras,
        'lens': scene.intrinsics.astype(np.float32),
    }


class Record(NamedTuple):
  """A clip that is drawn.

  Attributes:
    name: split and number.
    example: of `Clips.draw`.
  """

  name: str
  example: Mapping[str, np.ndarray]


def read(
    clips: Clips, numbers: Sequence[int], map_: Callable = map
) -> list[Record]:
  """Draws clips of a split, into memory.

  Args:
    clips: which.
    numbers: of the clips.
    map_: how: of `workers`, or one after the other.
  """
  return [
      Record(f'{clips.split}_{number}', example)
      for number, example in zip(numbers, map_(clips.draw, numbers))
  ]


@contextlib.contextmanager
def workers(num_workers: int) -> Iterator[Callable]:
  """Gives a `map` of several processes; of this one, where there are none.

  They end when this process does; a signal to stop that goes to all processes of
  a group is for this one to act on.
  """
  if not num_workers:
    yield map
    return
  # Until they ignore SIGTERM, they have it blocked: they inherit that. (The
  # tracker would unblock it here if it were started with the first of them.)
  resource_tracker.ensure_running()
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
  try:
    with concurrent.futures.ProcessPoolExecutor(
        num_workers,
        multiprocessing.get_context('spawn'),
        initializer=workers_lib.live_with_parent,
    ) as pool:
      yield functools.partial(pool.map, chunksize=_AT_ONCE)
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fingerprint(records: Sequence[Record]) -> str:
  """Sixteen hexadecimal digits for frames and truths."""

  def parts():
    for record in records:
      for key, value in sorted(record.example.items()):
        yield f'{key} {value.dtype} {value.shape}'.encode()
        yield value.tobytes()

  return fingerprints.hash_parts(parts())
