"""Chooses which videos are kept out of training, by their names.

The choice depends only on a hash of the file's name without folder and suffix.
A folder may therefore be moved or given through a manifest, videos may be
added, and files may be encoded anew. All clips of a file, and all files of one
name, are on the same side, also in different sources: a video that two sources
list, or that lies in two folders, is never both trained on and kept out. Files
of one name in many folders (0001/rgb.mp4, 0002/rgb.mp4, ...) are all on one
side too. To divide such a data set, rename its files.

A folder of pictures is one video, and its name is that of the folder: 'bear'
for bear/00000.jpg, as for bear.mp4.
"""

import hashlib
import os

from absl import logging


def draw(path: str) -> float:
  """Returns a number, uniform in [0, 1), that is a hash of a video's name.

  A video is kept out of training if its number is below the share of videos to
  keep out. So a greater share keeps out the same videos, and more.

  Args:
    path: path of a video file or of a folder of pictures. Only its last part
      without suffix counts.
  """
  name = os.path.splitext(os.path.basename(path))[0]
  digest = hashlib.sha256(os.fsencode(name)).digest()
  # 53 bits are what a float holds, so that the result is below 1.
  return (int.from_bytes(digest[:8], 'big') >> 11) / 2**53


def report(share: float, num_held_out: int, num_clips: int):
  """Logs how many clips are kept out of training.

  Args:
    share: share of the video files to keep out, in (0, 1).
    num_held_out: number of clips that are kept out.
    num_clips: number of all clips of video files.
  """
  if num_held_out:
    logging.info(
        '%d of %d clips are kept out of training, by the names of their files',
        num_held_out,
        num_clips,
    )
  else:
    logging.warning(
        'held_out_share=%g keeps none of the %d clips of video files out of'
        ' training, so there is no loss on held-out videos. Raise the share, or'
        ' use more files.',
        share,
        num_clips,
    )
