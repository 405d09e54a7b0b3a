"""Videos that show one thing each: clips with the number of a class."""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import numpy as np

from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import videos


class LabelledVideo(NamedTuple):
  """A video in a data set's list.

  Attributes:
    name: name that no other video of the data set has.
    path: absolute path of the file, or of a folder of pictures.
    label: number of the class.
    place: where the list names the file, for errors; '' if nothing helps.
  """

  name: str
  path: str
  label: int
  place: str = ''


@dataclasses.dataclass(frozen=True)
class LabelledClip:
  """A clip of a labelled video, an `ExampleRecord`.

  Attributes:
    video_name: name of the video, shared by its clips.
    files: paths of the video's files and of the lists that name its class.
    label: number of the class.
    classes: names of all classes of the data set, by their numbers.
    video: the video that the clip is cut from.
    sampling: how the clip is cut.
    number: number of the cut in `sampling.list_cuts`.
  """

  video_name: str
  files: tuple[str, ...]
  label: int
  classes: tuple[str, ...]
  video: videos.VideoFile
  sampling: sampling_lib.Sampling
  number: int

  @property
  def name(self) -> str:
    """Name of the video, and number of the clip."""
    return f'{self.video_name}#{self.number}'

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """Returns frames, uint8 [T, height, width, 3], and label, int32 [].

    Args:
      rng: source of randomness for a random cut of the video; with None the
        cut is the clip's own.

    Raises:
      BrokenVideo: see `VideoFile.read`.
    """
    if rng is None:
      cut = self.sampling.list_cuts(self.video)[self.number]
    else:
      cut = self.sampling.sample(rng, self.video)
    return {'frames': cut.read(self.video), 'label': np.int32(self.label)}


def open_clips(
    items: Sequence[LabelledVideo],
    classes: Sequence[str],
    lists: Sequence[str],
    sampling: sampling_lib.Sampling,
    max_bad_share: float,
    source: str,
) -> tuple[list[LabelledClip], list[str]]:
  """Lists the clips of a data set, those of a video together.

  A video of a single frame counts as bad.

  Args:
    items: the videos.
    classes: names of all classes, by their numbers.
    lists: paths of the files that name the videos and their classes.
    sampling: how videos are cut, into num_clips * num_crops clips each.
    max_bad_share: largest share of bad videos, see `videos.open_all`.
    source: a sentence on where the data set is had, for errors.

  Returns:
    The clips, and notes on what is left out.

  Raises:
    ValueError: too many videos are bad.
  """
  opened, notes = videos.open_all(
      [item.path for item in items],
      needs=lambda _: 2,
      max_bad_share=max_bad_share,
      source=source,
      places={item.path: item.place for item in items},
  )
  classes = tuple(classes)
  num_cuts = sampling.num_clips * sampling.num_crops
  return [
      LabelledClip(
          item.name,
          (*opened[item.path].files, *lists),
          item.label,
          classes,
          opened[item.path],
          sampling,
          number,
      )
      for item in items
      if item.path in opened
      for number in range(num_cuts)
  ], notes
