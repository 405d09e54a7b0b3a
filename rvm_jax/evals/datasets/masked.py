"""Videos of which every frame has a mask."""

from collections.abc import Callable
import dataclasses

import numpy as np

from rvm_jax.evals.datasets import files as files_lib


@dataclasses.dataclass(frozen=True)
class MaskedVideo:
  """A video and its masks, not read yet.

  Attributes:
    name: unique in its data set.
    num_frames: T.
    files: paths of all that it is read from.
    load: see `read`.
  """

  name: str
  num_frames: int
  files: tuple[str, ...]
  load: Callable[[], tuple[np.ndarray, np.ndarray]]

  def read(self) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 [T, H, W, 3] and masks uint8 [T, H, W].

    Raises:
      ValueError: broken files; or frames and masks differ in size or number.
    """
    frames, masks = self.load()
    if frames.shape[:3] != masks.shape:
      raise ValueError(
          f'{self.name}: frames are {frames.shape[:3]} and annotations'
          f' {masks.shape}, [T, H, W]; they must be the same'
      )
    return frames, masks


def open_folders(
    name: str, frames: str, masks: str, source: str
) -> MaskedVideo:
  """A video of a folder of .jpg files and one of .png masks.

  Args:
    name: of the video.
    frames, masks: the folders; files with the same name belong together.
    source: where the data set is had, for errors.

  Raises:
    FileNotFoundError: names the folder or file that is missing.
  """
  frame_files = files_lib.list_files(frames, '.jpg', source)
  mask_files = files_lib.list_files(masks, '.png', source)
  files_lib.check_pairs(frame_files, mask_files, source)
  return MaskedVideo(
      name,
      len(frame_files),
      (*frame_files, *mask_files),
      lambda: (
          files_lib.read_frames(frame_files),
          files_lib.read_masks(mask_files),
      ),
  )
