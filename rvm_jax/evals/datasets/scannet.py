"""ScanNet: scans of rooms with depth, exported to pictures.

The data set's folder holds

  scannetv2_train.txt, scannetv2_val.txt   names of scans, one a line
  scans/SCAN/color/N.jpg                   frame N, counted from 0
  scans/SCAN/depth/N.png                   depth map of frame N, 16 bits:
                                           millimetres, 0 where not known
"""

import dataclasses
import os

import numpy as np
from PIL import Image

from rvm_jax.evals.datasets import files as files_lib
from rvm_jax.evals.datasets import sampling as sampling_lib

SOURCE = (
    'ScanNet is available from https://github.com/ScanNet/ScanNet; see'
    ' docs/datasets/scannet.md'
)
_FRAME_RATE = 30.0


@dataclasses.dataclass(frozen=True)
class Scan:
  """The pictures of a scan, a `sampling.SourceVideo`.

  Attributes:
    folder: path of the scan's folder.
    num_frames: number of frames, each of which has a colour picture and a depth
      map.
    height: height of the colour pictures in pixels.
    width: width of the colour pictures in pixels.
    frame_rate: frames per second.
  """

  folder: str
  num_frames: int
  height: int
  width: int
  frame_rate: float = _FRAME_RATE

  def paths(self, kind: str, suffix: str, numbers: np.ndarray) -> list[str]:
    """Returns the paths of the pictures of some frames.

    Args:
      kind: name of the folder that holds the pictures, 'color' or 'depth'.
      suffix: end of the pictures' names, '.jpg' or '.png'.
      numbers: numbers of the frames, int [n].
    """
    return [
        os.path.join(self.folder, kind, f'{number}{suffix}')
        for number in numbers
    ]

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Reads colour pictures.

    Args:
      numbers: numbers of the frames, int [n].

    Returns:
      uint8 RGB [n, height, width, 3].

    Raises:
      ValueError: a file is not a picture, or has another size than the first.
    """
    return files_lib.read_frames(self.paths('color', '.jpg', numbers))

  def read_depth(self, numbers: np.ndarray) -> np.ndarray:
    """Reads depth maps.

    Args:
      numbers: numbers of the frames, int [n].

    Returns:
      Depth in metres, 0 where it is not known, float32 [n, rows, columns]. The
      resolution may differ from that of the colour pictures.

    Raises:
      ValueError: a file is not a picture of 16 bits, or has another size than
        the first.
    """
    paths = self.paths('depth', '.png', numbers)
    maps = [_read_depth(path) for path in paths]
    for path, depth in zip(paths, maps):
      if depth.shape != maps[0].shape:
        raise ValueError(
            f'{path} has {depth.shape} pixels, and {paths[0]} has'
            f' {maps[0].shape}; all must have one size'
        )
    return np.stack(maps).astype(np.float32) / 1000  # Millimetres to metres.


@dataclasses.dataclass(frozen=True)
class DepthClip:
  """A clip of a scan, a `fitting.examples.ExampleRecord`.

  Attributes:
    scan: the scan that the clip is cut from.
    lists: paths of the lists that name the scan.
    sampling: how the clip is cut.
    cut: the clip's own cut.
  """

  scan: Scan
  lists: tuple[str, ...]
  sampling: sampling_lib.Sampling
  cut: sampling_lib.Cut

  @property
  def name(self) -> str:
    """Name of the clip: 'SCAN@NUMBER', with the number of its first frame."""
    scan = os.path.basename(self.scan.folder)
    return f'{scan}@{self.cut.numbers[0]}'

  @property
  def files(self) -> tuple[str, ...]:
    """Paths of the files that the clip's own cut is read from."""
    numbers = self.cut.numbers
    return (
        *self.lists,
        *self.scan.paths('color', '.jpg', numbers),
        *self.scan.paths('depth', '.png', numbers),
    )

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """Reads the clip, or a random cut of its scan.

    Args:
      rng: random generator for a random cut; None reads the clip's own cut.

    Returns:
      frames: uint8 [T, height, width, 3].
      depth: float32 [T, height, width], metres, 0 where it is not known. It is
        taken from the nearest pixel of the depth map and never interpolated.

    Raises:
      ValueError: a file is broken.
    """
    cut = self.cut if rng is None else self.sampling.sample(rng, self.scan)
    depth = cut.crop.pick_nearest(
        self.scan.read_depth(cut.numbers), (self.scan.height, self.scan.width)
    )
    return {'frames': cut.read(self.scan), 'depth': depth}


def read(
    data_dir: str, split: str, sampling: sampling_lib.Sampling
) -> tuple[list[DepthClip], list[str]]:
  """Lists the clips of a split.

  The first colour picture of each scan is read to know the size of its frames.

  Args:
    data_dir: folder that holds the lists and the folder of scans.
    split: name of the split, 'train' or 'val'.
    sampling: how scans are cut. Scans that are too short are left out.

  Returns:
    The clips, and notes: sentences on the scans that are left out.

  Raises:
    FileNotFoundError: a list or a folder is missing, or a frame lacks its
      colour picture or its depth map; the message names it.
    ValueError: frames are not numbered from 0 on, a picture cannot be read,
      `sampling.num_crops` is above 1, or no scan is long enough for a clip.
  """
  path = os.path.join(data_dir, f'scannetv2_{split}.txt')
  clips, notes = [], []
  for name in files_lib.read_lines(path, SOURCE):
    scan = _open(os.path.join(data_dir, 'scans', name))
    if scan.num_frames < sampling.span(scan.frame_rate):
      notes.append(
          f'{name}: {scan.num_frames} frames are too few for a clip; the scan'
          ' is left out'
      )
      continue
    clips += [
        DepthClip(scan, (path,), sampling, cut)
        for cut in sampling.list_starts(scan)
    ]
  if not clips:
    raise ValueError(
        f'{path} lists no scan that is long enough for a clip.'
        f' {"; ".join(notes[:3])}'
    )
  return clips, notes


def _open(folder: str) -> Scan:
  """Returns a scan after checking that no picture of a frame is missing."""
  color = files_lib.list_files(os.path.join(folder, 'color'), '.jpg', SOURCE)
  depth = files_lib.list_files(os.path.join(folder, 'depth'), '.png', SOURCE)
  files_lib.check_pairs(color, depth, SOURCE)
  names = {os.path.basename(path) for path in color}
  for number in range(len(names)):
    if f'{number}.jpg' not in names:
      raise ValueError(
          f'{folder}/color holds {len(names)} frames, which must be named 0.jpg'
          f' to {len(names) - 1}.jpg; {number}.jpg is missing'
      )
  first = files_lib.read_frames([os.path.join(folder, 'color', '0.jpg')])
  return Scan(folder, len(names), *first.shape[1:3])


def _read_depth(path: str) -> np.ndarray:
  """Returns a depth map in millimetres, an integer array [h, w]."""
  try:
    with Image.open(path) as image:
      if not image.mode.startswith('I'):
        raise ValueError(
            f'{path} must be a picture of 16 bits, got mode {image.mode}'
        )
      return np.asarray(image)
  except OSError as error:
    raise ValueError(f'{path} cannot be read as a picture: {error}') from error
