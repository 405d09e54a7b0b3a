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

  def read_poses(self, numbers: np.ndarray) -> np.ndarray:
    """What takes each camera's coordinates to the world's.

    Returns:
      float64 [n, 4, 4], metres; not finite where the camera was lost.

    Raises:
      ValueError: a file that is no matrix of 4 x 4.
      FileNotFoundError: names the file that is missing.
    """
    paths = self.paths('pose', '.txt', numbers)
    return np.stack([_read_pose(path) for path in paths])


@dataclasses.dataclass(frozen=True)
class DepthClip:
  """A clip of a scan, not read yet.

  Attributes:
    scan: that it is cut from.
    lists: path of the list that it is from.
    sampling: how it is cut.
    cut: the clip.
  """

  scan: Scan
  lists: tuple[str, ...]
  sampling: sampling_lib.Sampling
  cut: sampling_lib.Cut

  @property
  def name(self) -> str:
    scan = os.path.basename(self.scan.folder)
    return f'{scan}@{self.cut.numbers[0]}'

  @property
  def files(self) -> tuple[str, ...]:
    """Paths of what the clip's own cut is read from."""
    numbers = self.cut.numbers
    return (
        *self.lists,
        *self.scan.paths('color', '.jpg', numbers),
        *self.scan.paths('depth', '.png', numbers),
    )

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """The example: frames uint8 [T, height, width, 3], depth float32
    [T, height, width] in metres, 0 where not known (nearest pixels).

    Args:
      rng: draws another cut of the scan; None for the clip's own.

    Raises:
      ValueError: a broken file.
    """
    cut = self.cut if rng is None else self.sampling.draw(rng, self.scan)
    depth = cut.view.pick_nearest(
        self.scan.read_depth(cut.numbers), (self.scan.height, self.scan.width)
    )
    return {'frames': cut.read(self.scan), 'depth': depth}


def read(
    data_dir: str, split: str, sampling: sampling_lib.Sampling
) -> tuple[list[DepthClip], list[str]]:
  """Lists the clips of a split, which are not read yet.

  Args:
    data_dir: the folder with the lists and the folder scans.
    split: 'train' or 'val'.
    sampling: num_clips clips of each scan that is long enough.

  Returns:
    The clips, and notes on scans that are left out.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
    ValueError: frames of colour and depth that are not the same, pictures that
      cannot be read, several crops, or no clip at all.
  """
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
    clips += [
        DepthClip(scan, (path,), sampling, cut)
        for cut in sampling.list_starts(scan)
    ]
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
