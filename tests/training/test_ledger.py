"""The ledger: where the time of a run went, also if it was killed."""

import time

import jax
import pytest

from rvm_jax.runtime import stops
from rvm_jax.storage import json_lines
from rvm_jax.training import ledger as ledger_lib
from rvm_jax.training import peaks


@pytest.fixture
def clock(monkeypatch):
  """Seconds that a test lets pass, for both of Python's clocks."""
  now = [1000.0]
  monkeypatch.setattr(time, 'time', lambda: now[0])
  monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
  return now


def start(workdir, step=0, flops_per_clip=None):
  ledger = ledger_lib.Ledger(workdir)
  ledger.start(step, num_steps=100, batch_size=8, flops_per_clip=flops_per_clip)
  return ledger


def lines(workdir, event):
  return [
      line
      for line in json_lines.read(workdir / 'ledger.jsonl')
      if line['event'] == event
  ]


def run_steps(ledger, clock, count, wait, work):
  for _ in range(count):

    def batches():
      clock[0] += wait
      yield 'batch'

    ledger.watch.take(batches(), 8)
    clock[0] += work


def test_ledger_tells_apart_where_time_went(clock, tmp_path):
  ledger = ledger_lib.Ledger(tmp_path / 'run')
  clock[0] += 20
  ledger.start(10, num_steps=100, batch_size=8, flops_per_clip=None)
  with ledger.timed('evaluation', name='scenes'):
    clock[0] += 300
  run_steps(ledger, clock, 1, wait=5, work=60)
  ledger.compiled(())
  ledger.compiled(())
  run_steps(ledger, clock, 2, wait=1, work=3)
  with ledger.timed('save'):
    clock[0] += 7
  run_steps(ledger, clock, 2, wait=1, work=3)
  assert ledger.steps() == {'clips_per_second': 2.0, 'data_wait': 0.25}
  assert ledger.steps() == {}

  first, evaluation, compiled, save, steps = json_lines.read(
      tmp_path / 'run' / 'ledger.jsonl'
  )
  assert first['event'] == 'start' and first['time'] == 1020
  assert (first['step'], first['seconds'], first['clips']) == (10, 20, 8)
  assert first['devices'] == jax.device_count()
  assert first['device_kind'] == 'cpu' and first['peak'] is None
  assert 'lost' not in first
  assert evaluation == {
      'event': 'evaluation',
      'time': 1320,
      'step': 10,
      'name': 'scenes',
      'seconds': 300,
  }
  # The evaluation is no part of the first step.
  assert (compiled['seconds'], compiled['data_wait']) == (65, 5)
  assert (save['step'], save['seconds']) == (13, 7)
  assert (steps['from'], steps['step']) == (11, 15)
  assert (steps['seconds'], steps['data_wait']) == (16, 4)


def test_ledger_counts_lost_steps_and_the_time_between_runs(clock, tmp_path):
  ledger = start(tmp_path)
  run_steps(ledger, clock, 1, wait=0, work=1)
  ledger.compiled(())
  run_steps(ledger, clock, 29, wait=0, work=1)
  ledger.steps()
  # The run is killed in the middle of a line, and starts again from step 20.
  with (tmp_path / 'ledger.jsonl').open('a') as f:
    f.write('{"event": "steps", "ti')
  clock[0] += 45
  start(tmp_path, 20)
  _, second = lines(tmp_path, 'start')
  assert (second['step'], second['lost'], second['down']) == (20, 10, 45)
  # What a second kill costs is counted from the second start on.
  clock[0] += 5
  start(tmp_path, 20)
  *_, third = lines(tmp_path, 'start')
  assert (third['lost'], third['down']) == (0, 5)


def test_ledger_says_how_a_run_ended(clock, tmp_path):
  with start(tmp_path) as ledger:
    run_steps(ledger, clock, 1, wait=0, work=1)
    ledger.steps()
  # The time after a run that was done is not down time.
  clock[0] += 1000
  with pytest.raises(OSError), start(tmp_path, 1):
    raise OSError('no such\nfile')
  clock[0] += 10
  with pytest.raises(stops.Stopped), start(tmp_path, 1):
    raise stops.Stopped
  done, failed, stopped = lines(tmp_path, 'end')
  assert (done['code'], done['why'], done['step']) == (0, 'done', 1)
  assert (failed['code'], failed['why']) == (1, 'no such file')
  assert stopped['code'] == 75
  down = [line.get('down') for line in lines(tmp_path, 'start')]
  assert down == [None, 0, 10]


def test_ledger_returns_the_utilisation_of_known_devices(
    clock, monkeypatch, tmp_path
):
  monkeypatch.setitem(peaks._PEAKS, 'cpu', 50.0)
  ledger = start(tmp_path, flops_per_clip=10.0)
  run_steps(ledger, clock, 2, wait=0, work=4)
  # 2 clips of 10 FLOPs a second, of 50 FLOP/s for each device.
  assert ledger.steps()['mfu'] == pytest.approx(0.4 / jax.device_count())
  (first,) = lines(tmp_path, 'start')
  assert (first['flops'], first['peak']) == (80, 50 * jax.device_count())
