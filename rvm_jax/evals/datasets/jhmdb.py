"""JHMDB, 15 joints of a person in every frame: the test videos of split 1.

splits/CLASS_test_split1.txt  Rename_Images/CLASS/NAME/*.png
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
    'JHMDB is had from'
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
_TEST = '2'  # The flag of a test video; 1 is training, 0 not used.
# What scipy raises where a .mat file is cut off or has wrong bytes.
_BROKEN = OSError, ValueError, IndexError, zlib.error, io.matlab.MatReadError


@dataclasses.dataclass(frozen=True)
class PoseVideo:
  """A video whose frames are not read yet.

  Attributes:
    name: unique in the data set.
    pose: float64 [P, 15, 2], (x, y) in pixels of the frames, in the order of
      `JOINTS`; may lie outside the picture.
    frame_files: T paths, T >= P.
    pose_file: the path that `pose` is from.
  """

  name: str
  pose: np.ndarray
  frame_files: tuple[str, ...]
  pose_file: str

  def read(self) -> np.ndarray:
    """Frames uint8 [T, H, W, 3]; ValueError where a file is broken."""
    return files.read_frames(self.frame_files)


def read(data_dir: str) -> tuple[list[PoseVideo], list[str]]:
  """Lists the test videos and reads their poses.

  Args:
    data_dir: the folder jhmdb.

  Returns:
    The videos, and the paths of the lists they are from.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
    ValueError: a list or a pose file of another form, or fewer frames than
      poses.
  """
  pattern = os.path.join(data_dir, 'splits', '*split1.txt')
  lists = sorted(glob.glob(pattern))
  if not lists:
    raise FileNotFoundError(f'{pattern} is missing. {SOURCE}')
  videos = []
  for path in lists:
    kind = os.path.basename(path).rsplit('_', 2)[0]
    for line in files.read_lines(path, SOURCE):
      name, _, flag = line.rpartition(' ')
      if not name or flag not in '012':
        raise ValueError(
            f'{path}: lines must be NAME.avi and 0, 1 or 2, got {line!r}'
        )
      if flag == _TEST:
        name = os.path.splitext(name.strip())[0]
        videos.append(_open(data_dir, kind, name))
  return videos, lists


def _open(data_dir, kind, name):
  frames = files.list_files(
      os.path.join(data_dir, 'Rename_Images', kind, name), '.png', SOURCE
  )
  path = os.path.join(
      data_dir, 'joint_positions', kind, name, 'joint_positions.mat'
  )
  pose = _read_pose(path)
  if len(frames) < len(pose):
    raise ValueError(
        f'{os.path.dirname(frames[0])} has {len(frames)} frames, and {path} has'
        f' {len(pose)} poses'
    )
  return PoseVideo(name, pose, tuple(frames), path)


def _read_pose(path):
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
  # Matlab counts pixels from one.
  return position.transpose(2, 1, 0).astype(np.float64) - 1
