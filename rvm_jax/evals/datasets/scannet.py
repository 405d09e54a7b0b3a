"""ScanNet: rooms filmed with a depth sensor, scans exported to pictures.

  scannetv2_train.txt, scannetv2_val.txt   names of scans
  scans/SCAN/color/N.jpg                   N counts frames from 0
  scans/SCAN/depth/N.png                   millimetres, 0 where not known
  scans/SCAN/pose/N.txt                    camera to world, 4 x 4; -inf if lost
"""

import dataclasses
import os

import numpy as np
from PIL import Image

from rvm_jax.evals.datasets import files as files_lib
from rvm_jax.evals.datasets import sampling as sampling_lib

SOURCE = (
    'ScanNet is had from https://github.com/ScanNet/ScanNet; see'
    ' docs/datasets/scannet.md'
)
_FRAME_RATE = 30.0


@dataclasses.dataclass(frozen=True)
class Scan:
  """A scan's pictures; see `sampling.Video`.

  Attributes:
    folder: of the scan.
    num_frames: of colour and depth.
    height, width: of the colour frames.
  """

  folder: str
  num_frames: int
  height: int
  width: int
  frame_rate: float = _FRAME_RATE

  def paths(self, kind: str, suffix: str, numbers: np.ndarray) -> list[str]:
    """Of the files 'color', '.jpg' and so on of some frames."""
    return [
        os.path.join(self.folder, kind, f'{number}{suffix}')
        for number in numbers
    ]

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """The frames with these numbers, uint8 [n, height, width, 3].

    Raises:
      ValueError: a file that is no picture, or of another size.
    """
    return files_lib.read_frames(self.paths('color', '.jpg', numbers))

  def read_depth(self, numbers: np.ndarray) -> np.ndarray:
    """Depth in metres, 0 where not known: float32 [n, h, w].

    Raises:
      ValueError: a file that is no picture of 16 bits, or of another size.
    """
    paths = self.paths('depth', '.png', numbers)
    maps = [_read_depth(path) for path in paths]
    for path, depth in zip(paths, maps):
      if depth.shape != maps[0].shape:
        raise ValueError(
            f'{path} has {depth.shape} pixels, and {paths[0]} has'
            f' {maps[0].shape}'
        )
    return np.stack(maps).astype(np.float32) / 1000

  def read_motion(self, numbers: np.ndarray) -> np.ndarray:
    """What takes the first camera's coordinates to the last one's.

    Returns:
      float32 [12], rotation by rows, and translation in metres; nan where the
      camera was lost.

    Raises:
      ValueError: a file that is no matrix of 4 x 4.
      FileNotFoundError: names the file that is missing.
    """
    first, last = (
        _read_pose(path)
        for path in self.paths('pose', '.txt', numbers[[0, -1]])
    )
    if not (np.isfinite(first).all() and np.isfinite(last).all()):
      return np.full(12, np.nan, np.float32)
    motion = np.linalg.solve(last, first)
    return np.concatenate(
        [motion[:3, :3].ravel(), motion[:3, 3]]
    ).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class DepthClip:
  """A clip of a scan, not read yet.

  Attributes:
    scan: that it is cut from.
    lists: path of the list that it is from.
    sampling: how it is cut.
    cut: the clip.
    with_pose: whether the example has the camera's motion.
  """

  scan: Scan
  lists: tuple[str, ...]
  sampling: sampling_lib.Sampling
  cut: sampling_lib.Cut
  with_pose: bool

  @property
  def name(self) -> str:
    scan = os.path.basename(self.scan.folder)
    return f'{scan}@{self.cut.numbers[0]}'

  @property
  def files(self) -> tuple[str, ...]:
    """Paths of what the clip's own cut is read from."""
    numbers = self.cut.numbers
    poses = self.scan.paths('pose', '.txt', numbers[[0, -1]])
    return (
        *self.lists,
        *self.scan.paths('color', '.jpg', numbers),
        *self.scan.paths('depth', '.png', numbers),
        *(poses if self.with_pose else ()),
    )

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """The example: frames uint8 [T, height, width, 3], depth float32
    [T, height, width] in metres, 0 where not known (nearest pixels); and, if
    asked for, pose float32 [12], see `Scan.read_motion`.

    A clip mirrored left to right has no pose.

    Args:
      rng: draws another cut of the scan; None for the clip's own.

    Raises:
      ValueError: a broken file.
    """
    if rng is None:
      cut, pose = self.cut, self._ask(self.cut)
    else:
      cut, pose = self.sampling.draw_asking(
          rng, self.scan, self.cut, self._ask
      )
    depth = cut.view.pick_nearest(
        self.scan.read_depth(cut.numbers), (self.scan.height, self.scan.width)
    )
    example = {'frames': cut.read(self.scan), 'depth': depth}
    return example | (pose if self.with_pose else {})

  def _ask(self, cut: sampling_lib.Cut) -> dict[str, np.ndarray] | None:
    """The pose; None if the camera is lost, which only a pose minds."""
    if not self.with_pose:
      return {'depth': np.empty(0)}
    pose = self.scan.read_motion(cut.numbers)
    return {'pose': pose} if np.isfinite(pose).all() else None


def read(
    data_dir: str,
    split: str,
    sampling: sampling_lib.Sampling,
    with_pose: bool = False,
) -> tuple[list[DepthClip], list[str]]:
  """Lists the clips of a split, which are not read yet.

  Args:
    data_dir: the folder with the lists and the folder scans.
    split: 'train' or 'val'.
    sampling: num_clips clips of each scan that is long enough.
    with_pose: whether examples have the motion of the camera; clips where it is
      not known are left out.

  Returns:
    The clips, and notes on scans that are left out.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
    ValueError: frames of colour and depth that are not the same, pictures that
      cannot be read, no clip at all, or poses asked of mirrored clips.
  """
  if with_pose and sampling.flip:
    raise ValueError(f'flip={sampling.flip} must be 0: poses are not mirrored')
  path = os.path.join(data_dir, f'scannetv2_{split}.txt')
  clips, notes = [], []
  for name in files_lib.read_lines(path, SOURCE):
    scan = _open(os.path.join(data_dir, 'scans', name))
    if scan.num_frames < sampling.span(scan.frame_rate):
      notes.append(
          f'{name}: {scan.num_frames} frames are too few for a clip; it is left'
          ' out'
      )
      continue
    mine = {
        clip.name: clip
        for clip in (
            DepthClip(scan, (path,), sampling, cut, with_pose)
            for cut in sampling.list_cuts(scan)
        )
    }
    if with_pose:
      motions = {n: scan.read_motion(c.cut.numbers) for n, c in mine.items()}
      lost = [n for n, motion in motions.items() if np.isnan(motion).any()]
      notes += [f'{n}: the camera is lost; it is left out' for n in lost]
      mine = {n: clip for n, clip in mine.items() if n not in lost}
    clips += mine.values()
  if not clips:
    raise ValueError(f'{path}: no clip in any scan. {"; ".join(notes[:3])}')
  return clips, notes


def _open(folder: str) -> Scan:
  color = files_lib.list_files(os.path.join(folder, 'color'), '.jpg', SOURCE)
  depth = files_lib.list_files(os.path.join(folder, 'depth'), '.png', SOURCE)
  files_lib.check_pairs(color, depth, SOURCE)
  names = {os.path.basename(path) for path in color}
  for number in range(len(names)):
    if f'{number}.jpg' not in names:
      raise ValueError(
          f'{folder}/color holds {len(names)} frames, and none of the name'
          f' {number}.jpg'
      )
  first = files_lib.read_frames([os.path.join(folder, 'color', '0.jpg')])
  return Scan(folder, len(names), *first.shape[1:3])


def _read_depth(path: str) -> np.ndarray:
  try:
    with Image.open(path) as image:
      if not image.mode.startswith('I'):
        raise ValueError(
            f'{path} must be a picture of 16 bits, got mode {image.mode}'
        )
      return np.asarray(image)
  except OSError as error:
    raise ValueError(f'{path} cannot be read as a picture: {error}') from error


def _read_pose(path: str) -> np.ndarray:
  rows = [line.split() for line in files_lib.read_lines(path, SOURCE)]
  try:
    pose = np.array(rows, np.float64)
  except ValueError as error:
    raise ValueError(f'{path} must hold numbers: {error}') from error
  if pose.shape != (4, 4):
    raise ValueError(f'{path} must hold a matrix of 4 x 4, got {pose.shape}')
  return pose
