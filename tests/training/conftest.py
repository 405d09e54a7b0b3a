"""A run whose checkpoints tests save, restore and damage."""

import pytest

from rvm_jax.training import checkpoints
from tests.training import states


@pytest.fixture
def open_run(tmp_path):
  """Function that opens the checkpoints of a run, by default in one workdir.

  All that it has opened are closed after the test.
  """
  opened = []

  def open_(init_from=None, verify=True, workdir=tmp_path, bucket=None):
    opened.append(
        checkpoints.Checkpoints(
            workdir,
            save_every=2,
            keep_last=2,
            keep_every=4,
            verify=verify,
            bucket=bucket,
            init_from=init_from,
            fresh_decoder=False,
        )
    )
    return opened[-1]

  yield open_
  for run in opened:
    run.close()


@pytest.fixture
def saved(open_run):
  """Checkpoints of a run that has saved steps 2, 4, 6 and 8; 2 is deleted."""
  run = open_run()
  for step in (2, 4, 6, 8):
    assert run.is_due(step) and not run.is_due(step + 1)
    run.save(step, states.make_state(step), {'at': 10 * step}, states.CONFIG)
    run.wait()
  return run
