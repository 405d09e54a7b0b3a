"""Videos whose frames are pictures of their own, of two kinds."""

import os
import types

from rvm_jax.data.video import prepared
from rvm_jax.data.video import sequences


def module_of(path: str) -> types.ModuleType | None:
  """Returns the module that reads a video made of pictures.

  Its functions `measure`, `decode_all` and `read` take the path. The frame rate
  of such a video is `sequences.FRAME_RATE`.

  Args:
    path: path of the video.

  Returns:
    `prepared` for a video of a set that tensorflow-datasets prepared,
    `sequences` for a folder, and None for a video file.
  """
  if prepared.is_prepared(path):
    return prepared
  return sequences if os.path.isdir(path) else None
