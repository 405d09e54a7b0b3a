"""Videos as a source of records."""

import os

from absl import logging
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import held_out
from rvm_jax.data import spans
from rvm_jax.data import windows
from rvm_jax.data.shards import catalog
from rvm_jax.data.shards import source as shards_source
from rvm_jax.data.video import index
from rvm_jax.data.video import listing
from rvm_jax.data.video import lookups
from rvm_jax.data.video import pictures
from rvm_jax.data.video import reader
from rvm_jax.data.video import sequences


def find(
    place: str, spacing: frame_sampling.Spacing, max_bad_share: float
) -> windows.Windows:
  """Opens a packed set, or the videos that `listing.find` lists.

  Args:
    place: folder of a packed set, on a disk or in a bucket; or a place that
      `listing.find` takes. It may be a `pathlib.Path`.
    spacing: distances between the frames of a sample.
    max_bad_share: greatest share of bad clips that the source may have.

  Returns:
    The usable clips, as a source of records.

  Raises:
    ValueError: the source cannot be used.
  """
  place = os.fspath(place)
  kind = shards_source.Packed if catalog.is_packed(place) else Videos
  return kind(place, spacing, max_bad_share)


class Videos(windows.Windows):
  """The videos of a data set that `listing.find` lists.

  A clip is a video file, a folder of pictures, or a span of either that a
  manifest lists. Bad clips (unreadable, or too short for the source frames and
  one target) are left out, with a warning.
  """

  def __init__(
      self, place: str, spacing: frame_sampling.Spacing, max_bad_share: float
  ):
    """Lists the clips, and indexes their files if that was not done before.

    Args:
      place: the data set: a folder, glob, manifest, video or prepared set.
      spacing: distances between the frames of a sample.
      max_bad_share: greatest share of bad clips that the source may have.

    Raises:
      ValueError: there are no videos, too many are bad, or none has room for
        the least gap.
    """
    self._database = index.database()
    found, reasons = spans.find(
        listing.find(place), spacing.min_frames, spacing.frame_rate
    )
    windows.judge(place, len(found), reasons, max_bad_share, spacing)
    if spacing.frame_rate is not None:
      _warn_of_folders(place, [span.clip.path for span in found])
    # The id of a clip is its video's row in the index.
    clips = windows.Clips(
        ids=np.array([span.summary.row for span in found], np.int64),
        starts=np.array([span.start for span in found], np.int64),
        nums_frames=np.array([span.num_frames for span in found], np.int64),
        rates=np.array([span.summary.frame_rate for span in found], np.float64),
        draws=np.array(
            [held_out.draw(span.clip.path) for span in found], np.float64
        ),
    )
    super().__init__(place, clips, spacing)

  def _read(self, clip: int, numbers) -> np.ndarray:
    path, contents = index.load(self._database, int(self._clips.ids[clip]))
    numbers = np.asarray(numbers, np.int64) + self._clips.starts[clip]
    return reader.read(path, contents, numbers)

  def _path(self, clip: int) -> str:
    return index.path_of(self._database, int(self._clips.ids[clip]))


def _warn_of_folders(place: str, paths: list[str]):
  """Warns if videos are folders of pictures, whose frame rate is assumed.

  Args:
    place: name of the source, for the message.
    paths: paths of the videos.
  """
  modules = lookups.ask_all(pictures.module_of, paths)
  if num_folders := sum(module is not None for module in modules):
    logging.warning(
        '%d of %d videos in %r are made of pictures, which have no frame rate.'
        ' Because frame_rate is set, their pictures count as %g a second.',
        num_folders,
        len(paths),
        place,
        sequences.FRAME_RATE,
    )
