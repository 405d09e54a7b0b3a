"""Videos that have a mask for every frame."""

from collections.abc import Callable
import dataclasses
import functools
import os

import numpy as np

from rvm_jax.evals.datasets import files as files_lib


@dataclasses.dataclass(frozen=True)
class MaskedVideo:
  """A video and its masks, which are on disk until they are read.

  Attributes:
    name: name of the video, unique in its data set.
    num_frames: T, the number of frames, each of which has a mask.
    files: paths of all files that the video and its masks are read from.
    load: function without arguments that reads frames and masks from disk. It
      need not check that their sizes and numbers are equal; `read` does.
  """

  name: str
  num_frames: int
  files: tuple[str, ...]
  load: Callable[[], tuple[np.ndarray, np.ndarray]]

  def read(self) -> tuple[np.ndarray, np.ndarray]:
    """Reads all frames and masks.

    Returns:
      Frames, uint8 RGB [T, H, W, 3], and masks, uint8 [T, H, W].

    Raises:
      ValueError: a file is broken, or frames and masks differ in size or
        number.
    """
    frames, masks = self.load()
    if frames.shape[:3] != masks.shape:
      raise ValueError(
          f'{self.name}: frames are {frames.shape[:3]} and annotations'
          f' {masks.shape}, [T, H, W]; they must be the same'
      )
    return frames, masks


def list_videos(
    data_dir: str, names: str, frames: str, masks: str, source: str
) -> list[MaskedVideo]:
  """Lists videos that have a folder of .jpg frames and one of .png masks each.

  Args:
    data_dir: folder of the data set. The following paths are relative to it.
    names: path of a text file with the name of a video in each line.
    frames: path of the folder that holds the videos' folders of frames.
    masks: path of the folder that holds the videos' folders of masks. A mask
      has the name of its frame.
    source: sentence that says where the data set can be downloaded, for errors.

  Returns:
    The videos in the order of their names in the file. No image is read yet.

  Raises:
    FileNotFoundError: a file or folder is missing; the error names it.
  """
  return [
      _open(
          name,
          os.path.join(data_dir, frames, name),
          os.path.join(data_dir, masks, name),
          source,
      )
      for name in files_lib.read_lines(os.path.join(data_dir, names), source)
  ]


def _open(name, frames, masks, source):
  """Returns the video whose frames and masks are in the two folders given."""
  frame_files = files_lib.list_files(frames, '.jpg', source)
  mask_files = files_lib.list_files(masks, '.png', source)
  files_lib.check_pairs(frame_files, mask_files, source)
  return MaskedVideo(
      name,
      len(frame_files),
      (*frame_files, *mask_files),
      functools.partial(_read, frame_files, mask_files),
  )


def _read(frame_files, mask_files):
  """Returns frames [T, H, W, 3] and masks [T, H, W], without comparing them."""
  return files_lib.read_frames(frame_files), files_lib.read_masks(mask_files)
