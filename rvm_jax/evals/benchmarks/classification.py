"""Scores the top-1 accuracy of a trained readout, for any set of classes.

A row holds the prediction for one test clip: 'clip', the `LabelledClip`, and
'probabilities', float [K], the probabilities of the K classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import functools
from typing import Any

import numpy as np

from rvm_jax.evals.datasets import labelled
from rvm_jax.evals.fitting import pictures
from rvm_jax.evals.fitting import scoring
from rvm_jax.evals.fitting import task as task_lib
from rvm_jax.evals.heads import classification
from rvm_jax.evals.metrics import accuracy

Rows = Sequence[Mapping[str, Any]]


def summarise(rows: Rows) -> dict[str, float]:
  """Scores the test set.

  Args:
    rows: rows of all test clips, those of a video together.

  Returns:
    'top_1': percentage of the videos whose most probable class is the true
      one. The probabilities of a video are the mean over its clips.
    'num_videos': number of videos.
  """
  is_right = judge_videos(rows)
  return {'top_1': 100 * float(np.mean(is_right)), 'num_videos': len(is_right)}


def judge_videos(rows: Rows) -> np.ndarray:
  """Judges whether the most probable class of each video is the true one.

  Args:
    rows: rows of all test clips, those of a video together.

  Returns:
    bool [num_videos], in the order of the videos in `rows`.
  """
  return np.array(
      [
          accuracy.top_1(probabilities[None], np.array([clip.label]))[0]
          for clip, probabilities in _group(rows)
      ]
  )


def make_task(
    title: str,
    read: Callable[..., tuple[list[labelled.LabelledClip], list[str]]],
    splits: tuple[str, str],
    *,
    num_classes: int | None = None,
    summarise: Callable[[Rows], Mapping[str, float]] = summarise,
) -> task_lib.Task:
  """Returns the task of classifying the videos of a data set.

  Args:
    title: title of the benchmark's column in tables.
    read: reader of the data set, a function as `Task.read` describes it.
    splits: names of the training split and of the test split.
    num_classes: number of classes of the public release. If the data have
      another number, the report notes it. None for one's own data, which may
      have any number.
    summarise: function that converts the rows of all test clips to scores, by
      default this module's function `summarise`.
  """
  return task_lib.Task(
      title=title,
      name='classification',
      read=read,
      splits=splits,
      head=_make_head,
      metric=scoring.Metric(_score_clip, summarise, 'top_1'),
      draw=_draw,
      tabulate=_tabulate,
      note=functools.partial(_note_classes, num_classes),
  )


def _make_head(clip: labelled.LabelledClip, **settings):
  """Returns a head with an output for each class."""
  return classification.ClassificationHead(
      num_classes=len(clip.classes), **settings
  )


def _note_classes(
    expected: int | None, clip: labelled.LabelledClip
) -> list[str]:
  """Returns a note if the number of classes is not the expected one."""
  if expected in (None, len(clip.classes)):
    return []
  return [f'{len(clip.classes)} classes, not {expected}']


def _score_clip(clip, ground_truth, prediction):
  """Returns the row of a clip. The clip itself holds the ground truth."""
  del ground_truth
  return {'clip': clip, 'probabilities': prediction['probabilities']}


def _tabulate(rows: Rows) -> list[dict[str, Any]]:
  """Returns a row for each video."""
  return [
      {
          'video': clip.video_name,
          'class': clip.classes[clip.label],
          'found': clip.classes[probabilities.mean(0).argmax()],
          'num_clips': len(probabilities),
      }
      for clip, probabilities in _group(rows)
  ]


def _group(rows: Rows) -> Iterator[tuple[labelled.LabelledClip, np.ndarray]]:
  """Yields one clip of each video, and the probabilities of all its clips.

  The probabilities are float [num_clips, K].
  """
  videos = {}
  for row in rows:
    videos.setdefault(row['clip'].video_name, []).append(row)
  for of_video in videos.values():
    yield of_video[0]['clip'], np.stack([r['probabilities'] for r in of_video])


def _draw(clip, example, prediction):
  """Returns the picture of a test clip, with its classes by their names."""
  return pictures.draw_class(example, prediction, clip.classes)
