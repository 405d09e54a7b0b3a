"""The local back end: small real processes, and one real training run."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from experiments.launchers import job as job_lib
from experiments.launchers import local
from tests import commands

ROOT = pathlib.Path(__file__).parents[3]
JOB = job_lib.Job('a', 'configs/rvm_demo.py', '/w', backoff_seconds=0.01)
FOREVER = 'import time; time.sleep(1000)'


class NoSignals:
  """Takes the place of `local.Stop`, so that tests keep pytest's handlers."""

  count = 0


def python(code):
  return local.Process([sys.executable, '-c', code], {})


def run_once(*codes, grace_seconds=60):
  return local.run_once(list(map(python, codes)), NoSignals(), grace_seconds)


@pytest.fixture
def attempts(monkeypatch):
  """A function that sets the codes of attempts; lists those that started."""
  started = []

  def set_codes(*codes):
    def processes(job, port):
      del job, port
      started.append(codes[len(started)])
      return [python(f'raise SystemExit({started[-1]})')]

    monkeypatch.setattr(local, 'processes', processes)
    return started

  return set_codes


def test_run_once_prefixes_each_line_with_its_process(capfd):
  assert run_once('print("one\\ntwo")', 'print("three")') == 0
  lines = capfd.readouterr().out.splitlines()
  assert sorted(lines) == ['[0] one', '[0] two', '[1] three']


def test_run_once_stops_the_others_when_one_dies():
  start = time.monotonic()
  assert run_once(FOREVER, 'raise SystemExit(1)') == 1
  assert time.monotonic() - start < 20


def test_run_once_reports_a_killed_process_as_a_shell_does():
  code = 'import os; os.kill(os.getpid(), 9)'
  assert run_once(code, FOREVER) == 137
  assert 137 in job_lib.RESTART_CODES


def test_run_once_lets_the_others_finish_after_a_save(tmp_path, monkeypatch):
  monkeypatch.setattr(local, '_LINGER_SECONDS', 0.0)
  slow = f"""
import pathlib, time
time.sleep(2)
pathlib.Path({str(tmp_path / 'saved')!r}).touch()
raise SystemExit(75)
"""
  assert run_once('raise SystemExit(75)', slow) == 75
  assert (tmp_path / 'saved').exists()


def test_run_once_asks_for_a_restart_when_one_never_ends():
  assert run_once('pass', FOREVER, grace_seconds=1) == 76


def test_run_once_leaves_no_process_of_a_dead_leader(tmp_path):
  pid = tmp_path / 'pid'
  code = f"""
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])
pathlib.Path({str(pid)!r}).write_text(str(child.pid))
raise SystemExit(1)
"""
  assert run_once(code) == 1
  for _ in range(100):
    # A process that nobody has waited for yet is a zombie, state Z.
    stat = pathlib.Path(f'/proc/{pid.read_text()}/stat')
    if not stat.exists() or ') Z ' in stat.read_text():
      return
    time.sleep(0.05)
  raise AssertionError('the worker of a dead process still runs')


def test_run_once_leaves_no_shared_memory_of_a_dead_leader(tmp_path):
  name = tmp_path / 'name'
  code = f"""
import os, pathlib, subprocess, sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(create=True, size=8)
pathlib.Path({str(name)!r}).write_text(memory.name)
# A worker, which keeps the tracker of shared memory alive and then ends.
subprocess.Popen(
    [sys.executable, '-c', 'import time; time.sleep(1)'],
    pass_fds=[resource_tracker.getfd()],
)
os.kill(os.getpid(), 9)
"""
  assert run_once(code) == 137
  assert not pathlib.Path('/dev/shm', name.read_text()).exists()


def test_run_restarts_on_restartable_codes(attempts, capfd):
  started = attempts(76, 75, 134, 0)
  assert local.run(JOB, NoSignals()) == 0
  assert started == [76, 75, 134, 0]
  output = capfd.readouterr().out
  for line in ('1 of 10 in 0.01 s', '2 of 10 in 0.02 s', '3 of 10 in 0.04 s'):
    assert line in output


def test_run_restarts_at_once_after_a_long_attempt(
    attempts, capfd, monkeypatch
):
  monkeypatch.setattr(local, '_MAX_BACKOFF_SECONDS', 0.0)
  attempts(76, 76, 76, 0)
  assert local.run(JOB, NoSignals()) == 0
  output = capfd.readouterr().out
  for number in (1, 2, 3):
    assert f'{number} of 10 in 0.01 s' in output


def test_run_gives_up_at_the_bound(attempts, capfd):
  started = attempts(76, 76, 76, 76)
  job = job_lib.Job('a', 'c', '/w', max_restarts=2, backoff_seconds=0)
  assert local.run(job, NoSignals()) == 76
  assert len(started) == 3
  assert 'after 2 restarts: giving up' in capfd.readouterr().out


def test_run_does_not_restart_after_a_mistake(attempts):
  started = attempts(1, 0)
  assert local.run(JOB, NoSignals()) == 1
  assert started == [1]


DRIVER = """
import sys
from experiments.launchers import job, local
child = '''
import signal, sys, time
signal.signal(signal.SIGTERM, {handler})
print('ready', flush=True)
time.sleep(1000)
'''
group = [local.Process([sys.executable, '-c', child], {{}})] * 2
local.processes = lambda job, port: group
sys.exit(local.run(job.Job('a', 'c', '/w', grace_seconds={grace})))
"""
EXIT_75 = 'lambda *_: sys.exit(75)'


def start_driver(handler, grace=60):
  """Starts a launcher of two processes; waits until both handle signals."""
  process = subprocess.Popen(
      [sys.executable, '-c', DRIVER.format(handler=handler, grace=grace)],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      text=True,
  )
  for _ in range(2):
    assert 'ready' in process.stdout.readline()
  return process


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_run_passes_a_signal_on_and_does_not_restart(number):
  process = start_driver(EXIT_75)
  process.send_signal(number)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 75, output
  assert 'passing SIGTERM on to 2 processes' in output
  assert 'restart' not in output


def test_run_kills_what_ignores_the_signal_after_the_grace_period():
  process = start_driver('signal.SIG_IGN', grace=1)
  process.send_signal(signal.SIGTERM)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 76, output
  assert 'killing processes [0, 1], which did not end' in output


def test_run_kills_at_once_at_the_second_signal():
  process = start_driver('signal.SIG_IGN', grace=1000)
  process.send_signal(signal.SIGTERM)
  assert 'passing' in process.stdout.readline()
  process.send_signal(signal.SIGTERM)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 137, output


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux has this signal')
def test_processes_are_told_to_stop_when_the_launcher_is_killed(tmp_path):
  told = tmp_path / 'told'
  handler = f'lambda *_: sys.exit(open({str(told)!r}, "a").write("x"))'
  process = start_driver(handler)
  process.kill()
  process.communicate()
  for _ in range(1200):
    if told.exists() and told.read_text() == 'xx':
      return
    time.sleep(0.05)
  raise AssertionError('the processes still run')


def test_processes_share_a_coordinator_and_split_the_gpus():
  job = job_lib.Job('a', 'c', '/w', processes=2, devices=2, platform='gpu')
  first, second = local.processes(job, 1234)
  assert '--coordinator=localhost:1234' in first.command
  assert '--process_id=1' in second.command
  assert first.environment['CUDA_VISIBLE_DEVICES'] == '0,1'
  assert second.environment['CUDA_VISIBLE_DEVICES'] == '2,3'


def test_processes_keep_given_xla_flags(monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '--given')
  job = job_lib.Job('a', 'c', '/w', devices=2, platform='cpu')
  (process,) = local.processes(job, 1234)
  assert process.environment['XLA_FLAGS'].startswith('--given --xla_force_host')
  assert '--coordinator=localhost:1234' not in process.command


def wait_for(process, text, output):
  """Reads lines into `output` up to the one with `text`."""
  too_late = threading.Timer(600, process.kill)
  too_late.start()
  for line in process.stdout:
    output.append(line)
    if text in line:
      too_late.cancel()
      return
  raise AssertionError(f'no {text!r} in the output:\n{"".join(output)}')


def test_a_run_of_two_processes_survives_a_kill_and_saves_on_sigterm(
    tmp_path, environment
):
  process = subprocess.Popen(
      [
          sys.executable,
          'experiments/launch.py',
          '--config=tests/tiny.py',
          f'--workdir={tmp_path}/run',
          '--processes=2',
          '--devices=2',
          '--platform=cpu',
          '--backoff_seconds=0.1',
          '--config.num_steps=100000',
          '--config.eval_every=100000',
          '--config.log_every=1',
          '--config.checkpoint.save_every=2',
          # Their evaluation takes most of the time of such a run.
          '--config.num_eval_scenes=0',
      ],
      cwd=ROOT,
      env=environment | {'XLA_FLAGS': commands.XLA_FLAGS + '2'},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
  )
  output = []
  wait_for(process, 'step 4/', output)
  # Children are listed in the order in which they were started.
  children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children')
  os.kill(int(children.read_text().split()[1]), signal.SIGKILL)
  wait_for(process, 'process 1 ended with exit code 137', output)
  wait_for(process, 'restart 1 of 10', output)
  # The signal comes before the first step of the resumed run, when processes
  # may have got as far as restoring or compiling.
  wait_for(process, 'Resumed from ', output)
  process.send_signal(signal.SIGTERM)
  rest, _ = process.communicate(timeout=600)
  assert process.returncode == 75, ''.join(output) + rest
  assert 'all saved' in rest
  # After the signal only the steps that were under way are done.
  assert rest.count(' step ') < 5, rest
