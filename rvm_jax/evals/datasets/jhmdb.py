"""JHMDB: the test videos of split 1, with 15 joints of a person in each frame.

The folder is the one that the authors of RVM publish:

  splits/CLASS_test_split1.txt
  Rename_Images/CLASS/NAME/*.png
  joint_positions/CLASS/NAME/joint_positions.mat
"""

import dataclasses
import glob
import os
import zlib

import numpy as np
from scipy import io

from rvm_jax.evals.datasets import files

SOURCE = (
    'Download JHMDB from'
    ' https://storage.googleapis.com/representations4d/datasets/jhmdb.zip; see'
    ' docs/datasets/jhmdb.md'
)

JOINTS = (
    'neck',
    'belly',
    'face',
    'right-shoulder',
    'left-shoulder',
    'right-hip',
    'left-hip',
    'right-elbow',
    'left-elbow',
    'right-knee',
    'left-knee',
    'right-wrist',
    'left-wrist',
    'right-ankle',
    'left-ankle',
)
# The flag of a test video in a list. Training videos have 1, and videos that
# are in neither split have 0.
_TEST = '2'
# The errors that scipy raises for a .mat file that is cut off or damaged.
_BROKEN = OSError, ValueError, IndexError, zlib.error, io.matlab.MatReadError


@dataclasses.dataclass(frozen=True)
class PoseVideo:
  """A video, which is on disk until it is read, and the poses in it.

  Attributes:
    name: name of the video, unique in the data set.
    poses: joints of the person in each of the first P frames, float64
      [P, 15, 2], as (x, y) in pixels, in the order of `JOINTS`. They may lie
      outside the frame.
    frame_files: paths of the T frames, T >= P.
    pose_file: path of the file that `poses` were read from.
  """

  name: str
  poses: np.ndarray
  frame_files: tuple[str, ...]
  pose_file: str

  @property
  def files(self) -> tuple[str, ...]:
    """Paths of all files that the video and its poses are read from."""
    return (*self.frame_files, self.pose_file)

  def read(self) -> np.ndarray:
    """Reads all frames.

    Returns:
      uint8 RGB [T, H, W, 3].

    Raises:
      ValueError: a file is broken, or the frames differ in size.
    """
    return files.read_frames(self.frame_files)


def read(data_dir: str) -> tuple[list[PoseVideo], list[str]]:
  """Lists the test videos and reads their poses.

  Args:
    data_dir: the folder jhmdb.

  Returns:
    The videos, and the paths of the text files that list them.

  Raises:
    FileNotFoundError: a file or folder is missing; the error names it.
    ValueError: a list or a file of poses is not in the expected form, or a
      video has fewer frames than poses.
  """
  pattern = os.path.join(data_dir, 'splits', '*split1.txt')
  lists = sorted(glob.glob(pattern))
  if not lists:
    raise FileNotFoundError(f'no file matches {pattern}. {SOURCE}')
  videos = []
  for path in lists:
    # The list is named CLASS_test_split1.txt; CLASS may contain underscores.
    action = os.path.basename(path).rsplit('_', 2)[0]
    for line in files.read_lines(path, SOURCE):
      name, _, flag = line.rpartition(' ')
      if not name or flag not in tuple('012'):
        raise ValueError(
            f'{path}: lines must be NAME.avi and 0, 1 or 2, got {line!r}'
        )
      if flag == _TEST:
        name = os.path.splitext(name.strip())[0]
        videos.append(_read_video(data_dir, action, name))
  if not videos:
    raise ValueError(f'{pattern}: no line ends with {_TEST}, the test videos')
  return videos, lists


def _read_video(data_dir, action, name):
  """Returns the video of a class and a name, with its poses."""
  frames = files.list_files(
      os.path.join(data_dir, 'Rename_Images', action, name), '.png', SOURCE
  )
  path = os.path.join(
      data_dir, 'joint_positions', action, name, 'joint_positions.mat'
  )
  poses = _read_poses(path)
  if len(frames) < len(poses):
    raise ValueError(
        f'{os.path.dirname(frames[0])} has {len(frames)} frames, and {path} has'
        f' {len(poses)} poses; there must be a frame for every pose'
    )
  return PoseVideo(name, poses, tuple(frames), path)


def _read_poses(path):
  """Returns the poses in a .mat file, float64 [P, 15, 2]."""
  if not os.path.isfile(path):
    raise FileNotFoundError(f'{path} is missing. {SOURCE}')
  try:
    found = io.loadmat(path, variable_names=['pos_img'])
  except _BROKEN as error:
    raise ValueError(f'{path} cannot be read: {error}') from error
  position = found['pos_img'] if 'pos_img' in found else np.empty(0)
  if position.ndim != 3 or position.shape[:2] != (2, len(JOINTS)):
    raise ValueError(
        f'{path} must hold pos_img of the shape (2, {len(JOINTS)}, T), got'
        f' {position.shape}'
    )
  # Matlab counts pixels from 1.
  return position.transpose(2, 1, 0).astype(np.float64) - 1
