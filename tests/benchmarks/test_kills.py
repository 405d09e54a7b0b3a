"""Tests of `kills.py`: a few kills of a real run, and the checks of starts."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture
def kills(monkeypatch):
  """Returns the module `kills`."""
  monkeypatch.syspath_prepend(str(FOLDER))
  import kills  # pylint: disable=g-import-not-at-top

  return kills


def test_a_run_that_is_killed_ends_as_one_that_was_never_disturbed(
    tmp_path, environment
):
  done = subprocess.run(
      [
          sys.executable,
          FOLDER / 'kills.py',
          '--kills=3',
          '--num_steps=12',
          '--save_every=3',
          '--eval_every=3',
          '--num_eval_scenes=0',
          f'--workdir={tmp_path}',
      ],
      env=environment,
      capture_output=True,
      text=True,
      timeout=1200,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'Step 12 equals that of a run that was never disturbed' in done.stdout
  assert '\n3 kills (' in done.stdout


@pytest.fixture
def check(kills):
  """Returns a function that checks a kill after a checkpoint of step 4.

  Its arguments are the step that the next start resumes from, the first step
  that it then does, and the last step before the kill.
  """

  def check_kill(resumed, first, last=5):
    ended = kills.runs.Attempt(
        {0: 137, 1: 76}, 0, dict.fromkeys(range(1, last + 1), 1.0), 4.0
    )
    following = kills.runs.Attempt({}, resumed, {first: 9.0}, None)
    kill = kills.Kill('steps', 'process 0', 3.0, newest=4)
    return kills.check([kill], [ended, following], save_every=4)

  return check_kill


def test_check_makes_a_row_of_a_kill(check):
  assert check(resumed=4, first=5) == [
      ['steps', 'process 0', '0: 137, 1: 76', '1.0', '6.0', '1']
  ]


@pytest.mark.parametrize(
    'resumed, first, last', [(2, 3, 5), (4, 6, 5), (0, 1, 5), (4, 5, 10)]
)
def test_check_refuses_a_wrong_start_or_too_many_lost_steps(
    check, resumed, first, last
):
  with pytest.raises(SystemExit):
    check(resumed, first, last)
