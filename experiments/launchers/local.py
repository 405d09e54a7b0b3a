"""Runs jobs on this machine: starts, watches and restarts their processes.

Each process leads a session of its own, so that a signal from the terminal
reaches only this launcher. The launcher passes the first signal on as SIGTERM,
and kills all processes at the second one. If the launcher itself is killed, the
kernel sends SIGTERM to the processes (on Linux), so that they save and end.
"""

from collections.abc import Sequence
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import NamedTuple

from experiments.launchers import job as job_lib

_POLL_SECONDS = 0.1
# After one process has failed, the others have this long to say why they end.
_LINGER_SECONDS = 3.0
# The child processes that a process leaves behind have this long to end by
# themselves.
_LEFT_SECONDS = 3.0
_MAX_BACKOFF_SECONDS = 300.0
# Option of prctl(2) that sets the signal at the death of the parent.
_PR_SET_PDEATHSIG = 1


class Process(NamedTuple):
  """A process to start: its argument list and additional environment."""

  command: list[str]
  environment: dict[str, str]


class Stop:
  """Counts SIGTERM and SIGINT from the moment it is made."""

  def __init__(self):
    self.count = 0
    for number in (signal.SIGTERM, signal.SIGINT):
      signal.signal(number, self._handle)

  def _handle(self, number, frame):
    del number, frame
    self.count += 1


def processes(job: job_lib.Job, port: int | str) -> list[Process]:
  """Returns the processes of a job.

  Args:
    job: the job.
    port: port on which process 0 listens for the others, or a placeholder.
  """
  found = []
  for process_id in range(job.processes):
    parts = {}
    if job.processes > 1:
      parts = {
          'coordinator': f'localhost:{port}',
          'num_processes': job.processes,
          'process_id': process_id,
      }
    found.append(
        Process(
            job_lib.train_command(job, python=sys.executable, **parts),
            job_lib.environment(job) | _devices(job, process_id),
        )
    )
  return found


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns a shell command for each process, for display."""
  commands = []
  for process in processes(job, 'PORT'):
    added = [f'{key}={value}' for key, value in process.environment.items()]
    command = ['python', *process.command[1:]]
    commands.append(['env', *added, *command] if added else command)
  return job_lib.Plan({}, commands)


def run(job: job_lib.Job, stop: Stop | None = None) -> int:
  """Runs a job to its end, with restarts.

  Args:
    job: the job.
    stop: counter of signals; None makes one.

  Returns:
    0 if all processes are done, else the exit code of the process that failed
    first. If several failed at once and a restart would not help one of them,
    it is the code of that one.
  """
  stop = stop or Stop()
  delay = job.backoff_seconds
  for restarts in range(job.max_restarts + 1):
    began = time.monotonic()
    code = run_once(processes(job, _free_port()), stop, job.grace_seconds)
    if stop.count or code not in job_lib.RESTART_CODES:
      return code
    if restarts == job.max_restarts:
      break
    if time.monotonic() - began > _MAX_BACKOFF_SECONDS:
      # The job ran for a while, so that it does not fail repeatedly at its
      # start.
      delay = job.backoff_seconds
    _say(
        f'exit code {code}: restart {restarts + 1} of {job.max_restarts} in'
        f' {delay:g} s'
    )
    if _is_stopped_within(delay, stop):
      return code
    delay = min(2 * delay, _MAX_BACKOFF_SECONDS)
  _say(f'exit code {code} after {job.max_restarts} restarts: giving up')
  return code


def run_once(group: Sequence[Process], stop: Stop, grace_seconds: float) -> int:
  """Starts processes and returns when none is left.

  Args:
    group: the processes.
    stop: counter of signals.
    grace_seconds: how long processes may take to end after a signal, or after
      another process has ended in order.

  Returns:
    The exit code, as of `run`; RESTART if a process did not end in time and
    none had failed.
  """
  end_with_launcher = _make_end_with_launcher()
  started = [
      subprocess.Popen(
          process.command,
          preexec_fn=end_with_launcher,
          env=os.environ | process.environment,
          stdout=subprocess.PIPE,
          stderr=subprocess.STDOUT,
          text=True,
          errors='replace',
          start_new_session=True,
      )
      for process in group
  ]
  printers = [
      threading.Thread(target=_print_lines, args=(index, process))
      for index, process in enumerate(started)
  ]
  for printer in printers:
    printer.start()
  try:
    code = _watch(started, stop, grace_seconds)
  finally:
    for process in started:
      process.kill()
      process.wait()
    for process in started:
      _end_group(process)
    for printer in printers:
      printer.join()
  return code


def _watch(started, stop, grace_seconds):
  """Waits until all processes have ended or must be killed.

  Returns:
    The exit code, as of `run_once`.
  """
  deadline, seen, first, forwarded = float('inf'), set(), None, 0
  while len(seen) < len(started):
    # Only the processes themselves get the signal. They stop their own workers.
    if stop.count > forwarded:
      if forwarded:
        _say('a second signal: killing all processes')
        return first or 128 + signal.SIGKILL
      forwarded = stop.count
      alive = [p for p in started if p.poll() is None]
      _say(f'passing SIGTERM on to {len(alive)} processes')
      for process in alive:
        process.send_signal(signal.SIGTERM)
      deadline = min(deadline, time.monotonic() + grace_seconds)

    # Exit codes of the processes that have ended since the last pass.
    ended = {
        index: process.returncode
        for index, process in enumerate(started)
        if index not in seen and process.poll() is not None
    }
    seen |= set(ended)
    codes = {i: _shell_code(code) for i, code in ended.items()}
    for index, code in codes.items():
      if code:
        _say(f'process {index} ended with exit code {code}')
    failed = sorted(
        (code for code in codes.values() if code),
        key=lambda code: code in job_lib.RESTART_CODES,
    )
    first = first or (failed[0] if failed else None)
    # After a process has ended in order, the others may finish their work.
    # After a failure they only get the time to report it, because they would
    # wait for the failed process for ever.
    if ended:
      orderly = first in (None, job_lib.PREEMPTED)
      wait = grace_seconds if orderly else _LINGER_SECONDS
      deadline = min(deadline, time.monotonic() + wait)
    if len(seen) < len(started):
      if time.monotonic() > deadline:
        left = sorted(set(range(len(started))) - seen)
        _say(f'killing processes {left}, which did not end')
        return first or job_lib.RESTART
      time.sleep(_POLL_SECONDS)
  return first or 0


def _make_end_with_launcher():
  """Returns a function for new processes to call before they run.

  With it, the kernel sends them SIGTERM when the launcher dies.
  """
  if sys.platform != 'linux':
    return None
  # The library is loaded here, because a forked process should not do that.
  prctl = ctypes.CDLL(None).prctl
  return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _devices(job, process_id):
  """Returns the environment variables that give a process its devices."""
  found = {}
  if job.platform == 'cpu' and job.devices:
    flag = f'--xla_force_host_platform_device_count={job.devices}'
    given = dict(job.environment).get('XLA_FLAGS', os.environ.get('XLA_FLAGS'))
    found['XLA_FLAGS'] = f'{given} {flag}' if given else flag
  if job.platform == 'gpu' and job.devices:
    first = process_id * job.devices
    chosen = range(first, first + job.devices)
    found['CUDA_VISIBLE_DEVICES'] = ','.join(map(str, chosen))
  return found


def _shell_code(code):
  """Converts a return code of subprocess, such as -15, to a shell's, 143."""
  return 128 - code if code < 0 else code


def _print_lines(index, process):
  for line in process.stdout:
    print(f'[{index}] {line}', end='' if line.endswith('\n') else '\n')
    sys.stdout.flush()


def _end_group(process):
  """Waits until the children of a process have ended, and kills the rest.

  Workers end when their parent has ended. Then multiprocessing's resource
  tracker, a process too, removes their shared memory and ends. If it were
  killed before, the shared memory would stay for ever.
  """
  deadline = time.monotonic() + _LEFT_SECONDS
  # killpg raises this error once all processes of the group have ended.
  with contextlib.suppress(ProcessLookupError):
    while time.monotonic() < deadline:
      os.killpg(process.pid, 0)
      time.sleep(_POLL_SECONDS)
    os.killpg(process.pid, signal.SIGKILL)


def _is_stopped_within(seconds, stop):
  end = time.monotonic() + seconds
  while not stop.count and time.monotonic() < end:
    time.sleep(min(_POLL_SECONDS, seconds))
  return bool(stop.count)


def _free_port():
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


def _say(text):
  print(f'[launch] {text}', flush=True)
