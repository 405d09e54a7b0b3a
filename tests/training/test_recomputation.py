"""A step that is computed again has the values of the run."""

import shutil

from absl import logging
import jax
import pytest

from rvm_jax.storage import json_lines
from rvm_jax.training import loop
from rvm_jax.training import recomputation
from tests.training import regression

CONFIG = regression.get_config('skip')


class Records(regression.Numbers):
  """A stream that knows how many records it has."""

  def __init__(self, num_records, **changes):
    super().__init__(**changes)
    self.num_records = num_records

  def get_state(self):
    return super().get_state() | {'num_records': self.num_records}


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A run with a spike at step 15 and its two newest checkpoints."""
  workdir = tmp_path_factory.mktemp('run')
  stream = Records(7, spikes=(15,))
  loop.train(CONFIG, workdir, regression.Regression(), stream, {})
  return workdir


def compute(workdir, step, num_records=7, config=CONFIG, spikes=(15,)):
  return recomputation.compute(
      config,
      workdir,
      step,
      regression.Regression(),
      Records(num_records, spikes=spikes),
  )


def snapshot(folder):
  return {
      str(path): (path.stat().st_mtime_ns, path.is_dir() or path.read_bytes())
      for path in sorted(folder.rglob('*'))
  }


@pytest.mark.parametrize('step', [1, 14, 15, 16, 21, 25, 26, 30])
def test_compute_returns_what_the_run_logged_and_writes_nothing(workdir, step):
  before = snapshot(workdir)
  found = compute(workdir, step)
  assert snapshot(workdir) == before
  (logged,) = (
      record
      for record in json_lines.read(workdir / 'metrics.jsonl')
      if record['step'] == step
  )
  assert found.metrics.keys() >= {'loss', 'gradient_norm', 'update_norm'}
  for key, value in found.metrics.items():
    assert value == logged[f'train/{key}'], key
  assert found.clips == [f'clip {4 * step + i}' for i in range(4)]


def test_compute_starts_from_the_newest_checkpoint_before_the_step(
    workdir, monkeypatch, warnings
):
  messages = []
  monkeypatch.setattr(
      logging, 'info', lambda text, *x: messages.append(text % x)
  )
  steps = sorted(int(x.name) for x in (workdir / 'checkpoints').iterdir())
  assert steps == [25, 30]
  compute(workdir, 30)
  assert f'Resumed from {workdir}/checkpoints/25' in messages
  assert not warnings
  compute(workdir, 25)
  assert 'no good checkpoint before step 25: all steps are done' in warnings[0]


def test_compute_passes_over_a_damaged_checkpoint_and_leaves_it(
    workdir, tmp_path, warnings
):
  copy = shutil.copytree(workdir, tmp_path / 'run')
  shutil.copytree(copy / 'checkpoints' / '25', copy / 'checkpoints' / '28')
  (copy / 'checkpoints' / '28' / 'config' / 'metadata').write_text('{')
  before = snapshot(copy)
  assert compute(copy, 30).metrics == compute(workdir, 30).metrics
  assert snapshot(copy) == before
  assert 'checkpoints/28 is damaged' in warnings[0]


@pytest.mark.parametrize('step', [0, -1, 31])
def test_compute_refuses_a_step_that_the_run_does_not_have(workdir, step):
  with pytest.raises(
      ValueError, match=f'--step={step} must be one of the steps'
  ):
    compute(workdir, step)


def test_compute_refuses_data_that_have_changed(workdir):
  with pytest.raises(ValueError, match='had 7 records, and now have 8'):
    compute(workdir, 30, num_records=8)


def test_compute_uses_another_config_if_it_is_given_one(workdir):
  config = regression.get_config('none')
  found, expected = compute(workdir, 28, config=config), compute(workdir, 28)
  assert 'skipped_updates' not in found.metrics
  assert found.metrics['loss'] == expected.metrics['loss']


def test_ledger_of_a_run_has_its_processes(workdir):
  (start,) = (
      record
      for record in json_lines.read(workdir / 'ledger.jsonl')
      if record['event'] == 'start'
  )
  assert start['processes'] == jax.process_count() == 1
