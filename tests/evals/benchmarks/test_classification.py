"""Tests classification: the mean over clips, the rows, and the notes."""

import dataclasses

import numpy as np
import pytest

from rvm_jax.evals.benchmarks import classification
from rvm_jax.evals.datasets import labelled

CLASSES = 'walk', 'run', 'jump'


def make_clip(name, label):
  return labelled.LabelledClip(name, (), label, CLASSES, None, None, 0)


def score(task, *clips):
  """Returns the rows of clips, given as name, label and probabilities."""
  return [
      task.metric.score(
          make_clip(name, label), {}, {'probabilities': np.array(probabilities)}
      )
      for name, label, probabilities in clips
  ]


@pytest.fixture
def task():
  return classification.make_task(
      'Title', None, ('train', 'val'), num_classes=3
  )


def test_video_is_right_by_the_mean_of_its_probabilities(task):
  rows = score(
      task,
      ('a', 0, [0.4, 0.6, 0.0]),
      ('a', 0, [0.5, 0.3, 0.2]),
      ('a', 0, [0.5, 0.3, 0.2]),
      ('b', 2, [0.0, 0.6, 0.4]),
      ('c', 1, [0.0, 0.6, 0.4]),
      ('d', 1, [0.4, 0.3, 0.3]),
  )
  np.testing.assert_array_equal(
      classification.judge_videos(rows), [True, False, True, False]
  )
  assert task.metric.summarise(rows) == {'top_1': 50.0, 'num_videos': 4}
  assert task.tabulate(rows)[:2] == [
      {'video': 'a', 'class': 'walk', 'found': 'walk', 'num_clips': 3},
      {'video': 'b', 'class': 'jump', 'found': 'run', 'num_clips': 1},
  ]


def test_head_has_an_output_for_each_class(task):
  head = task.head(make_clip('a', 0), num_params=8, num_heads=2)
  assert head.num_classes == 3 and head.num_params == 8


def test_unexpected_number_of_classes_is_noted(task):
  clip = make_clip('a', 0)
  assert task.note(clip) == []
  fewer = dataclasses.replace(clip, classes=CLASSES[:2])
  assert task.note(fewer) == ['2 classes, not 3']
  own = classification.make_task('Title', None, ('train', 'test'))
  assert own.note(fewer) == []


def test_summary_can_be_replaced():
  task = classification.make_task(
      'Title', None, ('train', 'test'), summarise=lambda rows: {'top_1': 7.0}
  )
  assert task.metric.headline == 'top_1'
  assert task.metric.summarise([]) == {'top_1': 7.0}
