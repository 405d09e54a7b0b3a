"""Tests how a task reads splits, passes settings and assembles the report."""

import dataclasses

import numpy as np
import pytest

from rvm_jax.evals.fitting import scoring
from rvm_jax.evals.fitting import task as task_lib
from tests.evals import tiny_examples

SAMPLING = dict(num_frames=4, frame_rate=6.0, height=32, width=32, squash=False)


def read(data_dir, split, sampling, *, count, max_bad_share=0.0):
  """Lists tiny records; files and notes show the arguments it was called with.

  Args:
    data_dir: name of a folder, which does not have to exist.
    split: name of the split.
    sampling: a `Sampling`.
    count: number of records.
    max_bad_share: ignored.
  """
  del max_bad_share
  files = f'{data_dir}/list', f'{data_dir}/{split}'
  records = [
      dataclasses.replace(record, files=files)
      for record in tiny_examples.records(count)
  ]
  return records, [f'{sampling.num_clips} clips a video']


TASK = task_lib.Task(
    title='Tiny top-1',
    name='classes',
    read=read,
    splits=('fit', 'held out'),
    head=lambda record, width: tiny_examples.Head(width + record.number),
    metric=scoring.Metric(None, None, 'loss', lower_is_better=True),
    draw=lambda record, example, prediction: (record.name, prediction),
    tabulate=lambda rows: [row | {'is_tabulated': True} for row in rows],
    note=lambda record: [f'the first is {record.name}'],
)


def read_splits(train, test, **changes):
  """Reads both splits with SAMPLING, changed or extended."""
  return task_lib.read_splits(
      read, '/data', ('fit', 'held out'), SAMPLING | changes, train, test
  )


def test_splits_have_their_own_settings_and_list_each_file_once():
  splits = read_splits(
      {'count': 3, 'flip': 0.5, 'max_bad_share': 0.1},
      {'count': 2, 'num_clips': 6},
  )
  assert len(splits.train) == 3 and len(splits.test) == 2
  assert splits.files == ['/data/list', '/data/fit', '/data/held out']
  assert splits.notes == [
      'fit: 1 clips a video',
      'held out: 6 clips a video',
  ]
  # `max_bad_share` does not determine what an example contains.
  assert splits.settings == {
      'train': {'sampling': SAMPLING, 'train': {'count': 3, 'flip': 0.5}},
      'test': {'sampling': SAMPLING, 'test': {'count': 2, 'num_clips': 6}},
  }


def test_error_names_an_unknown_setting():
  with pytest.raises(TypeError, match='num_clip'):
    read_splits({'count': 3, 'num_clip': 2}, {'count': 3})
  with pytest.raises(TypeError, match='heigth'):
    read_splits({'count': 3}, {'count': 3}, heigth=3)


def test_empty_split_is_rejected():
  with pytest.raises(ValueError, match='/data: the split held out has no exam'):
    read_splits({'count': 3}, {'count': 0})


def test_report_is_assembled_from_the_fields_of_the_task(monkeypatch):
  called = {}

  def evaluate(model, head, train, test, metric, **settings):
    called.update(settings, model=model, head=head, metric=metric)
    shown = scoring.Shown(
        dataclasses.replace(test[1], number='a/b'), {}, {'label': np.int32(3)}
    )
    return scoring.Result({'loss': 0.5}, [{'row': 1}], [shown], ['fitted'])

  monkeypatch.setattr(scoring, 'evaluate', evaluate)
  report = TASK.evaluate(
      'model',
      '/data',
      workdir='/work',
      sampling=SAMPLING,
      train={'count': 3},
      test={'count': 2},
      head={'width': 2},
      features={'is_kept': True},
      training={'seed': 0},
  )
  assert called == {
      'model': 'model',
      'head': tiny_examples.Head(2),
      'metric': TASK.metric,
      'name': 'classes',
      'workdir': '/work',
      'examples': {
          'train': {'sampling': SAMPLING, 'train': {'count': 3}},
          'test': {'sampling': SAMPLING, 'test': {'count': 2}},
      },
      'features': {'is_kept': True},
      'training': {'seed': 0},
  }
  assert report.task == 'Tiny top-1' and report.headline == 'loss'
  assert report.lower_is_better and report.scores == {'loss': 0.5}
  assert report.rows == [{'row': 1, 'is_tabulated': True}]
  # A picture is saved as a file, whose name must not contain a slash.
  assert report.pictures == {'clip a_b': ('clip a/b', {'label': np.int32(3)})}
  assert report.files == ['/data/list', '/data/fit', '/data/held out']
  assert report.notes == [
      'fit: 1 clips a video',
      'held out: 1 clips a video',
      'the first is clip 0',
      'fitted',
  ]


def test_error_names_an_unknown_setting_of_the_head():
  with pytest.raises(TypeError, match='heads'):
    TASK.evaluate(
        None,
        '/data',
        workdir='/work',
        sampling=SAMPLING,
        train={'count': 3},
        test={'count': 2},
        head={'width': 2, 'heads': 3},
        features={},
        training={},
    )
