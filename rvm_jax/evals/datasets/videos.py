"""Video files of a data set: indexed once, bad ones counted, read lazily."""

from collections.abc import Callable, Sequence
import dataclasses

from absl import logging
import numpy as np

from rvm_jax.data.video import index
from rvm_jax.data.video import reader as reader_lib


@dataclasses.dataclass(frozen=True)
class Video:
  """A video file that has been decoded once from start to end.

  Attributes:
    path: of the file.
    num_frames: that decode.
    frame_rate: frames per second.
    height, width: of the frames, upright, in pixels.
    database, row: of the index.
  """

  path: str
  num_frames: int
  frame_rate: float
  height: int
  width: int
  database: str
  row: int

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """The frames with these numbers, uint8 [n, height, width, 3].

    Raises:
      BrokenVideo: the file has changed since, or cannot be read any more.
    """
    path, contents = index.load(self.database, self.row)
    return reader_lib.read(path, contents, numbers)


def open_all(
    paths: Sequence[str],
    *,
    needs: Callable[[float], int],
    max_bad_share: float,
    source: str,
) -> tuple[dict[str, Video], list[str]]:
  """Opens the videos of a data set, each decoded once if not known yet.

  Args:
    paths: of the files.
    needs: frames that a video must have, given its frame rate.
    max_bad_share: of the files; more that are missing, broken or too short
      are refused. Fewer are left out.
    source: where the data set is had, for errors.

  Returns:
    {path: Video} of the good ones, and a note if some are not.

  Raises:
    ValueError: too many bad ones, or all; names the first few with the reason.
  """
  good, bad = index.build(paths)
  for path, found in list(good.items()):
    if found.num_frames < needs(found.frame_rate):
      bad[path] = (
          f'{found.num_frames} frames, needs at least'
          f' {needs(found.frame_rate)}'
      )
      del good[path]
  notes = []
  if bad:
    reasons = [f'{path}: {bad[path]}' for path in paths if path in bad]
    note = (
        f'{len(bad)} of {len(good) + len(bad)} videos are missing, broken or'
        f' too short, such as {"; ".join(reasons[:3])}'
    )
    if not good or len(bad) > max_bad_share * (len(good) + len(bad)):
      raise ValueError(
          f'{note}. More than max_bad_share={max_bad_share} of them. {source}'
      )
    logging.warning('%s. They are left out.', note)
    notes.append(f'{note}; they are left out')
  database = index.database()
  return {
      path: Video(
          path,
          found.num_frames,
          found.frame_rate,
          found.height,
          found.width,
          database,
          found.row,
      )
      for path, found in good.items()
  }, notes
