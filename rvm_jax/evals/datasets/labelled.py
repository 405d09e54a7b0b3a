"""Labelled videos, each of one class, and the clips that are cut from them."""

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
    place: file and line of the list that names the video, for errors; '' if
      there is no such line to show.
  """

  name: str
  path: str
  label: int
  place: str = ''


@dataclasses.dataclass(frozen=True)
class LabelledClip:
  """A clip of a labelled video, a `fitting.examples.ExampleRecord`.

  Attributes:
    video_name: name of the video, shared by its clips.
    files: paths of the video's files and of the lists that name its class.
    label: number of the class.
    classes: names of all classes of the data set, by their numbers.
    video: the video that the clip is cut from.
    sampling: how the clip is cut.
    number: number of the clip's own cut, an index into the cuts that
      `sampling.list_cuts` returns for the video.
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
    """Name of the clip: 'VIDEO#NUMBER'."""
    return f'{self.video_name}#{self.number}'

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """Reads the clip, or a random cut of its video.

    Args:
      rng: random generator for a random cut; None reads the clip's own cut.

    Returns:
      frames: uint8 [T, height, width, 3].
      label: int32 [], number of the class.

    Raises:
      BrokenVideo: the file has changed since it was indexed, or cannot be read
        any more.
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
  """Indexes videos, and lists the clips that are cut from them.

  A video of a single frame counts as bad.

  Args:
    items: videos to cut clips from.
    classes: names of all classes, by their numbers.
    lists: paths of the files that name the videos and their classes.
    sampling: how videos are cut, into num_clips * num_crops clips each.
    max_bad_share: largest share of the videos that may be bad: missing, broken
      or of a single frame.
    source: sentence that says where to get the data set, for errors.

  Returns:
    The clips, those of a video together, and notes: sentences on the videos
    that are left out.

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
