"""Indexes the videos of a data set, and leaves out those that are bad."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import os

from absl import logging
import numpy as np

from rvm_jax.data.video import index
from rvm_jax.data.video import reader as reader_lib
from rvm_jax.data.video import sequences


@dataclasses.dataclass(frozen=True)
class VideoFile:
  """A video that is in the index, because it was decoded once to its end.

  Attributes:
    path: absolute path of the file, or of a folder of pictures.
    num_frames: number of frames that can be decoded.
    frame_rate: frames per second.
    height: height of the upright frames in pixels.
    width: width of the upright frames in pixels.
    database: path of the index that holds the video.
    row: number of the video's row in the index.
  """

  path: str
  num_frames: int
  frame_rate: float
  height: int
  width: int
  database: str
  row: int

  @property
  def files(self) -> tuple[str, ...]:
    """Path of the file, or of each picture in the folder."""
    if not os.path.isdir(self.path):
      return (self.path,)
    names = sequences.list_names(self.path)
    return tuple(os.path.join(self.path, name) for name in names)

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Reads some frames.

    Args:
      numbers: numbers of the frames, int [n].

    Returns:
      uint8 RGB [n, height, width, 3].

    Raises:
      BrokenVideo: the file has changed since it was indexed, or cannot be read
        any more.
    """
    path, contents = index.load(self.database, self.row)
    return reader_lib.read(path, contents, numbers)


def open_all(
    paths: Sequence[str],
    *,
    needs: Callable[[float], int],
    max_bad_share: float,
    source: str,
    places: Mapping[str, str] | None = None,
) -> tuple[dict[str, VideoFile], list[str]]:
  """Opens the videos of a data set.

  Videos that are not in the index yet are decoded once. Videos that are
  missing, broken or too short are bad. If they are few, they are left out, with
  a note; if they are more, this is an error.

  Args:
    paths: absolute paths of the files.
    needs: function that returns the number of frames that a video must have,
      given its frame rate.
    max_bad_share: largest share of the files that may be bad.
    source: sentence that says where to get the data set, for errors.
    places: {path: file and line of the list that names it}, for errors. A path
      may have no entry, or '', if there is no such line to show.

  Returns:
    {path: video} of the videos that are not bad, and a list of notes: one
    sentence if some videos are bad, and none otherwise.

  Raises:
    ValueError: too many videos are bad, or all of them; the message names the
      first few with the reason.
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
    reasons = [
        f'{_locate(path, places)}: {bad[path]}' for path in paths if path in bad
    ]
    note = (
        f'{len(bad)} of {len(good) + len(bad)} videos are missing, broken or'
        f' too short, such as {"; ".join(reasons[:3])}'
    )
    if not good or len(bad) > max_bad_share * (len(good) + len(bad)):
      raise ValueError(
          f'{note}. Only a share of max_bad_share={max_bad_share} may be bad,'
          f' and not all. {source}'
      )
    logging.warning('%s. They are left out.', note)
    notes.append(f'{note}; they are left out')
  database = index.database()
  return {
      path: VideoFile(
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


def _locate(path: str, places: Mapping[str, str] | None) -> str:
  """Returns a path, after its place in a list if that is known, for errors."""
  place = (places or {}).get(path)
  return f'{place}: {path}' if place else path
