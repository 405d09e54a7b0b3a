"""Videos of which each shows one thing: clips with the number of a class."""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import numpy as np

from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import videos


class Labelled(NamedTuple):
  """A line of a data set's list: a video's name, path, and class number."""

  name: str
  path: str
  label: int


@dataclasses.dataclass(frozen=True)
class LabelledClip:
  """A clip that is not read yet.

  Attributes:
    video_name: of the video, shared by its clips.
    files: paths of the video and of the lists that name its class.
    label: number of the class.
    video: that it is cut from.
    sampling: how.
    number: of the cut in `sampling.list_cuts`.
  """

  video_name: str
  files: tuple[str, ...]
  label: int
  video: videos.Video
  sampling: sampling_lib.Sampling
  number: int

  @property
  def name(self) -> str:
    return f'{self.video_name}#{self.number}'

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """The example: frames uint8 [T, height, width, 3], label int32 [].

    Args:
      rng: draws another cut of the video; None for the clip's own.

    Raises:
      BrokenVideo: the file has changed since, or cannot be read any more.
    """
    if rng is None:
      cut = self.sampling.list_cuts(self.video)[self.number]
    else:
      cut = self.sampling.draw(rng, self.video)
    return {'frames': cut.read(self.video), 'label': np.int32(self.label)}


def open_clips(
    items: Sequence[Labelled],
    lists: Sequence[str],
    sampling: sampling_lib.Sampling,
    max_bad_share: float,
    source: str,
) -> tuple[list[LabelledClip], list[str]]:
  """All clips of a data set, those of a video together.

  Args:
    items: the videos.
    lists: paths of the files that they are from.
    sampling: num_clips * num_crops clips of each video.
    max_bad_share, source: see `videos.open_all`. A video of one frame is bad.

  Returns:
    The clips, and notes on what is left out.
  """
  opened, notes = videos.open_all(
      [item.path for item in items],
      needs=lambda _: 2,
      max_bad_share=max_bad_share,
      source=source,
  )
  num_cuts = sampling.num_clips * sampling.num_crops
  return [
      LabelledClip(
          item.name,
          (item.path, *lists),
          item.label,
          opened[item.path],
          sampling,
          number,
      )
      for item in items
      if item.path in opened
      for number in range(num_cuts)
  ], notes
