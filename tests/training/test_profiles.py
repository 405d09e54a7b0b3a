"""Profiles are written on demand, and never end a run."""

import os
import signal

from absl import logging
import jax
import jax.numpy as jnp
import pytest

from rvm_jax.training import profiles


@pytest.fixture(autouse=True)
def handler():
  """Restores the handler of SIGUSR1 after the test."""
  before = signal.getsignal(signal.SIGUSR1)
  yield
  signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def messages(monkeypatch):
  found = []
  monkeypatch.setattr(logging, 'info', lambda text, *x: found.append(text % x))
  return found


def run(profiler, first, last, *, ask_at=()):
  """Does steps as the loop does."""
  add = jax.jit(lambda x: x + 1)
  state = jnp.zeros(3)
  for step in range(first, last + 1):
    if step in ask_at:
      os.kill(os.getpid(), signal.SIGUSR1)
    with profiler.step(step, state):
      state = add(state)


def profiled(folder):
  """Returns the numbers of the steps in a profile."""
  (path,) = folder.glob('plugins/profile/*/*.xplane.pb')
  data = jax.profiler.ProfileData.from_file(str(path))
  return sorted(
      dict(event.stats)['step_num']
      for plane in data.planes
      for line in plane.lines
      for event in line.events
      if event.name == 'train'
  )


def test_profile_has_the_steps_that_were_asked_for(tmp_path, messages):
  with profiles.Profiler(tmp_path, (3, 4)) as profiler:
    run(profiler, 1, 6)
  assert profiled(tmp_path / 'profiles' / 'steps_3-4') == [3, 4]
  assert messages == [
      (
          f'Wrote {tmp_path}/profiles/steps_3-4. To see it: pip install xprof;'
          f' xprof --logdir={tmp_path}/profiles'
      )
  ]


def test_signals_ask_for_the_next_steps_again_and_again(tmp_path):
  with profiles.Profiler(tmp_path, None) as profiler:
    # A signal during a profile changes nothing.
    run(profiler, 1, 12, ask_at=(2, 3, 8))
  folders = sorted(path.name for path in (tmp_path / 'profiles').iterdir())
  assert folders == ['steps_2-4', 'steps_8-10']
  assert profiled(tmp_path / 'profiles' / 'steps_2-4') == [2, 3, 4]


def test_profile_is_completed_when_the_run_ends(tmp_path):
  with pytest.raises(KeyError):
    with profiles.Profiler(tmp_path, (2, 9)) as profiler:
      run(profiler, 1, 3)
      raise KeyError
  assert profiled(tmp_path / 'profiles' / 'steps_2-9') == [2, 3]


def test_run_that_resumes_among_the_steps_profiles_the_rest(tmp_path):
  with profiles.Profiler(tmp_path, (2, 5)) as profiler:
    run(profiler, 4, 7)
  assert profiled(tmp_path / 'profiles' / 'steps_4-5') == [4, 5]
  with profiles.Profiler(tmp_path / 'later', (2, 5)) as profiler:
    run(profiler, 6, 8)
  assert not (tmp_path / 'later').exists()


def test_second_profiler_in_a_process_is_a_warning(tmp_path, warnings):
  with jax.profiler.trace(tmp_path / 'other'):
    with profiles.Profiler(tmp_path, (2, 3)) as profiler:
      run(profiler, 1, 5)
  assert len(warnings) == 1
  assert 'There is no profile of step 2: ' in warnings[0]


def test_profile_whose_folder_cannot_be_made_is_a_warning(tmp_path, warnings):
  (tmp_path / 'profiles').write_text('in the way')
  with profiles.Profiler(tmp_path, (2, 3)) as profiler:
    run(profiler, 1, 5)
  assert len(warnings) == 1
  assert 'There is no profile of step 2: ' in warnings[0]


def test_profile_that_cannot_be_written_is_a_warning(
    tmp_path, monkeypatch, warnings
):
  stop = jax.profiler.stop_trace

  def fail():
    stop()
    raise jax.errors.JaxRuntimeError('the disk is full')

  monkeypatch.setattr(jax.profiler, 'stop_trace', fail)
  with profiles.Profiler(tmp_path, (2, 3)) as profiler:
    run(profiler, 1, 5)
  assert warnings == [
      f'{tmp_path}/profiles/steps_2-3 cannot be written: the disk is full'
  ]


def test_each_process_has_a_folder_of_its_own(tmp_path, monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(jax, 'process_index', lambda: 1)
  with profiles.Profiler(tmp_path, (2, 2)) as profiler:
    run(profiler, 1, 3)
  folder = tmp_path / 'profiles' / 'steps_2-2' / 'process_1'
  assert profiled(folder) == [2]


def test_parse_steps_returns_the_first_and_the_last():
  assert profiles.parse_steps('3:12') == (3, 12)
  assert profiles.parse_steps(None) is None


@pytest.mark.parametrize(
    'text', ['', '3', '5:3', '0:2', '-1:2', 'a:b', '1:2:3']
)
def test_parse_steps_refuses_anything_else(text):
  with pytest.raises(ValueError, match='must be FIRST:LAST'):
    profiles.parse_steps(text)
