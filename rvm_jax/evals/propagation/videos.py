"""Steps that the label propagation benchmarks share.

These are encoding a video, propagating the masks of its first frame, and
scoring all videos of a data set.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging
import numpy as np
from PIL import Image

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import masks as masks_lib
from rvm_jax.evals.propagation import pictures as pictures_lib


class VideoScore(NamedTuple):
  """The scores of one video.

  Attributes:
    measures: measurements of the video, from which the benchmark computes the
      scores of the data set. Their type is up to the benchmark.
    rows: rows of the report: one for the video, or one for each of its objects.
    notes: sentences on the video for the reader of the report.
    draw: function without arguments that draws the picture of the video, uint8
      [height, width, 3].
  """

  measures: Any
  rows: Sequence[Mapping[str, Any]]
  notes: Sequence[str]
  draw: Callable[[], np.ndarray]


class SetScore(NamedTuple):
  """The scores of all videos of a data set, in the order of the videos.

  Attributes:
    measures: the `measures` of each video.
    rows: the rows of all videos.
    notes: the notes of all videos.
    pictures: pictures by the name of their video, for the videos that
      `pictures.choose_shown` chooses.
    files: paths of the files of all videos.
  """

  measures: list[Any]
  rows: list[Mapping[str, Any]]
  notes: list[str]
  pictures: dict[str, np.ndarray]
  files: list[str]


def score_all(
    videos: Sequence[Any], score: Callable[[Any], VideoScore]
) -> SetScore:
  """Scores the videos of a data set one after the other.

  Args:
    videos: the videos. Each has attributes `name`, which is unique, and
      `files`, the paths of its files.
    score: function video -> VideoScore, which reads the video, propagates the
      labels of its first frame and scores the predictions.

  Returns:
    The scores.
  """
  shown = pictures_lib.choose_shown(len(videos))
  found = SetScore([], [], [], {}, [])
  for index, video in enumerate(videos):
    scored = score(video)
    found.measures.append(scored.measures)
    found.rows.extend(scored.rows)
    found.notes.extend(scored.notes)
    found.files.extend(video.files)
    if index in shown:
      found.pictures[video.name] = scored.draw()
    rows = '; '.join(map(_describe, scored.rows))
    logging.info('%d/%d %s: %s', index + 1, len(videos), video.name, rows)
  return found


def encode(
    model: encoder_lib.FrozenEncoder, frames: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
  """Resizes the frames of a video and encodes them.

  Frames are resized with the Lanczos filter, without keeping their aspect
  ratio, as in the released evaluation.

  Args:
    model: the frozen encoder.
    frames: uint8 [T, H, W, 3], all frames of the video.
    size: height and width in pixels that frames are resized to.

  Returns:
    float32 [T, h, w, D], the features of all patches, scaled to unit length.
  """
  resized = np.stack(
      [
          Image.fromarray(frame).resize(size[::-1], Image.Resampling.LANCZOS)
          for frame in frames
      ]
  )
  return label_propagation.normalize(model.encode(resized[None]).patches[0])


def propagate_masks(
    features: np.ndarray,
    mask: np.ndarray,
    label_map: np.ndarray,
    size: tuple[int, int],
    settings: Mapping[str, Any],
) -> np.ndarray:
  """Propagates the mask of the first frame through a video.

  Args:
    features: float [T, h, w, D], features of unit length, such as `encode`
      returns.
    mask: int [H, W], the number of the object in each pixel of the first frame.
    label_map: int [L], the numbers of the objects to propagate, including that
      of the background. Pixels with other numbers have no label.
    size: height and width in pixels of the frames that were encoded.
    settings: keyword arguments of `label_propagation.propagate`.

  Returns:
    The predicted masks of all frames, including the first, [T, H, W], with the
    dtype of `label_map`.
  """
  # From the mask to soft labels, through the video, and back to masks.
  soft = masks_lib.encode(mask, label_map, size, features.shape[1:3])
  soft = label_propagation.propagate(features, soft, **settings)
  return masks_lib.decode(np.asarray(soft), label_map, size, mask.shape)


def _describe(row):
  """Returns the scores of a row, which are its floats, as text."""
  return ', '.join(
      f'{name} {value:.1f}'
      for name, value in row.items()
      if isinstance(value, float)
  )
