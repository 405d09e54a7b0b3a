"""Videos whose frames are separate pictures: folders, and prepared sets."""

import os
import types

from rvm_jax.data.video import decoder
from rvm_jax.data.video import prepared
from rvm_jax.data.video import sequences


def module_of(path: str) -> types.ModuleType | None:
  """Returns the module that reads a video made of pictures.

  Its functions `decode_all` and `read` take the path of the video. The frame
  rate of such a video counts as `sequences.FRAME_RATE`.

  Args:
    path: path of the video.

  Returns:
    The module `prepared` for a video of a set that tensorflow-datasets
    prepared, `sequences` for a folder, and None for anything else, such as a
    video file.
  """
  if prepared.is_prepared(path):
    return prepared
  return sequences if os.path.isdir(path) else None


def measure(path: str) -> tuple[int, int, int]:
  """Decodes all frames of a video, and returns their number and their size.

  Args:
    path: path of a video made of pictures.

  Returns:
    The number of frames, and their height and width in pixels.

  Raises:
    BrokenVideo: there are no frames, or a frame cannot be read or has another
      size than the first. Unlike a video file, which is usable up to the
      damage, such a video is bad as a whole until the picture is replaced.
  """
  num_frames, shape = 0, None
  for pixels in module_of(path).decode_all(path):
    num_frames, shape = num_frames + 1, pixels.shape
  if shape is None:
    raise decoder.BrokenVideo(path, 'it has no frames')
  return num_frames, *shape[:2]
