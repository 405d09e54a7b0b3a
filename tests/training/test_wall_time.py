"""Every second of a run goes into one part."""

import pytest

from rvm_jax.training import wall_time
from tests.training import ledgers


def parts_of(writer):
  parts = wall_time.measure(writer.lines).parts
  return {name: seconds for name, seconds in parts.items() if seconds}


def test_parts_of_a_run_without_restarts():
  writer = ledgers.Writer()
  writer.start(0)
  writer.add('evaluation', 0, 20, name='scenes')
  writer.add('compile', 1, 60, **{'from': 0}, data_wait=5)
  writer.steps(1, 11, 100, data_wait=30)
  writer.add('save', 11, 2)
  writer.add('saved', 12, 3)
  # Something that no event times, and an event that is not known here.
  writer.now += 7
  writer.add('spike', 12)
  writer.steps(11, 12, 5)
  writer.add('save', 12, 2)
  writer.now += 4
  writer.add('end', 12, code=0, why='done')
  assert parts_of(writer) == {
      'starting': 10,
      'evaluation': 20,
      'compiling': 55,
      'waiting for data': 35,
      'useful steps': 75,
      'checkpoints': 11,
      'other': 7,
  }
  assert wall_time.measure(writer.lines).total == writer.now - 1000


def test_steps_that_are_done_again_are_lost():
  writer = ledgers.Writer()
  writer.start(0)
  writer.steps(0, 10, 10)
  writer.steps(10, 20, 20, data_wait=4)
  # Steps 15 to 20 are done again, and at the third start steps 9 to 20.
  writer.now += 50
  writer.start(14, lost=6, down=50.0)
  writer.steps(14, 20, 6)
  writer.now += 30
  writer.start(8, lost=12, down=30.0)
  writer.steps(8, 20, 12)
  goodput = wall_time.measure(writer.lines)
  assert parts_of(writer) == {
      'starting': 30,
      'useful steps': 8 + 12,
      'steps done again': 2 + 20 + 6,
      'down': 80,
  }
  assert goodput.total == writer.now - 1000
  assert [start.lost for start in goodput.starts] == [12, 12, 0]
  assert [start.end for start in goodput.starts] == [
      'killed',
      'killed',
      'running or killed',
  ]
  # All lines have a speed of one step a second, except for the second one.
  assert [speed for *_, speed in goodput.speeds] == [1, 0.5, 1, 1]
  assert goodput.speeds[1][:2] == (20, 40)


def test_time_after_a_run_that_was_done_does_not_count():
  writer = ledgers.Writer()
  writer.start(0)
  writer.steps(0, 10, 10)
  writer.add('end', 10, code=0, why='done')
  writer.now += 100_000
  writer.start(10, lost=0, down=0.0)
  writer.steps(10, 20, 10)
  writer.add('end', 20, code=75, why='Preempted: stopped')
  goodput = wall_time.measure(writer.lines)
  assert goodput.total == 40
  assert goodput.starts[0].end == 'done'
  assert goodput.starts[1].end == 'exit code 75: Preempted: stopped'


def test_utilisation_in_steps_and_over_all_time():
  writer = ledgers.Writer()
  writer.start(0, flops=40.0, peak=10.0)
  writer.steps(0, 10, 80)
  writer.now += 10
  writer.start(5, down=10.0, flops=40.0, peak=10.0)
  writer.steps(5, 10, 90)
  goodput = wall_time.measure(writer.lines)
  # 15 steps in 170 seconds; 10 of them useful, in 200 seconds.
  assert goodput.mfu == pytest.approx(15 * 40 / (170 * 10))
  assert goodput.overall_mfu == pytest.approx(10 * 40 / (200 * 10))


def test_utilisation_of_unknown_devices_is_none():
  writer = ledgers.Writer()
  writer.start(0)
  writer.steps(0, 10, 80)
  goodput = wall_time.measure(writer.lines)
  assert goodput.mfu is None and goodput.overall_mfu is None


def test_ledger_without_a_start_is_refused():
  with pytest.raises(ValueError, match='no start'):
    wall_time.measure([{'event': 'steps'}])
