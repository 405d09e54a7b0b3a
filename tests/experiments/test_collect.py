"""The table of a sweep's runs, from workdirs made by hand."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from tensorboardX import event_file_writer
from tensorboardX.proto import event_pb2
from tensorboardX.proto import summary_pb2

from experiments import collect


@pytest.fixture
def make_run(tmp_path):
  """Makes a workdir as a run leaves it; returns its path."""

  def make_run_(name, settings, scalars=(), step=10, results=()):
    workdir = tmp_path / name
    for number in (step - 5, step):
      folder = workdir / 'checkpoints' / str(number) / 'config'
      folder.mkdir(parents=True)
      (folder / 'metadata').write_text(json.dumps(settings))
    writer = event_file_writer.EventsWriter(str(workdir / 'events'))
    for number, tag, value in scalars:
      value = summary_pb2.Summary.Value(tag=tag, simple_value=value)
      summary = summary_pb2.Summary(value=[value])
      writer.write_event(event_pb2.Event(step=number, summary=summary))
    writer.close()
    for task, score in results:
      folder = workdir / 'results' / task
      folder.mkdir(parents=True)
      (folder / 'result.json').write_text(
          json.dumps(
              {
                  'task': task,
                  'headline': 'h',
                  'lower_is_better': False,
                  'scores': {'h': score},
              }
          )
      )
    return str(workdir)

  return make_run_


def settings(seed, num_source):
  return {'seed': seed, 'data': {'num_source': num_source, 'stride': 1}}


def test_table_folds_seeds_and_shows_what_differs(make_run, capsys):
  paths = [
      make_run(
          f'{num_source}_{seed}',
          settings(seed, num_source),
          [(5, 'train/loss', 9.0), (10, 'train/loss', num_source + seed)],
          results=[('DAVIS', 50.0)],
      )
      for num_source in (1, 2)
      for seed in (0, 1)
  ]
  assert collect.main(paths) == 0
  assert capsys.readouterr().out == (
      '| data.num_source | runs | steps | train/loss | DAVIS |\n'
      '| --- | --- | --- | --- | --- |\n'
      '| 1 | 2 | 10 | 1.5 ± 6.4 | 50 ± 0 |\n'
      '| 2 | 2 | 10 | 2.5 ± 6.4 | 50 ± 0 |\n'
  )


def test_table_says_how_many_runs_have_a_score(make_run, capsys):
  one = make_run('a', settings(0, 1), [(10, 'train/loss', 1.0)])
  two = make_run('b', settings(1, 1), step=8)
  assert collect.main([one, two, '--format=csv']) == 0
  assert capsys.readouterr().out == 'runs,steps,train/loss\n2,8,1 (of 1)\n'


def test_last_value_is_that_of_the_last_start(make_run, tmp_path):
  scalars = [(1, 'a', 1.0), (3, 'a', 3.0), (2, 'a', 2.0), (3, 'a', 4.0)]
  make_run('a', settings(0, 1), scalars)
  assert collect.last_values(tmp_path / 'a') == {'a': 4.0}


def test_last_value_survives_a_record_that_a_kill_cut_off(make_run, tmp_path):
  make_run('a', settings(0, 1), [(1, 'a', 1.0), (2, 'a', 2.0)])
  (path,) = (tmp_path / 'a').glob('events.out.tfevents.*')
  path.write_bytes(path.read_bytes()[:-3])
  assert collect.last_values(tmp_path / 'a') == {'a': 1.0}


def test_interval_is_that_of_students_t():
  scores = np.array([1.0, 2.0, 4.0, 4.5])
  mean, half = collect.interval(scores)
  low, high = stats.t.interval(0.95, 3, scores.mean(), stats.sem(scores))
  np.testing.assert_allclose((mean - half, mean + half), (low, high))


def test_interval_of_a_single_score_is_not_known():
  mean, half = collect.interval([3.0])
  assert mean == 3 and math.isnan(half)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path, capsys):
  assert collect.main([str(tmp_path)]) == 2
  assert 'has no checkpoint of a run' in capsys.readouterr().err
