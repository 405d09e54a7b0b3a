"""This machine: starts the processes, watches them and restarts them.

Each process is the leader of a session of its own, so that a signal from the
terminal reaches this launcher alone, which passes it on once, as SIGTERM. A
second signal kills everything. If the launcher itself is killed, the processes
get SIGTERM from the kernel (on Linux), so that they save and end.
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
# After one process has failed the others get this long to say why they end.
_LINGER_SECONDS = 3.0
# What a process leaves behind gets this long to end by itself.
_LEFT_SECONDS = 3.0
_MAX_BACKOFF_SECONDS = 300.0
_PR_SET_PDEATHSIG = 1  # Of prctl(2).


class Process(NamedTuple):
  """A process to start: its argument list and what its environment adds."""

  command: list[str]
  environment: dict[str, str]


class Stop:
  """Counts the signals to stop that have come."""

  def __init__(self):
    self.count = 0
    for number in (signal.SIGTERM, signal.SIGINT):
      signal.signal(number, self._handle)

  def _handle(self, number, frame):
    del number, frame
    self.count += 1


def processes(job: job_lib.Job, port: int | str) -> list[Process]:
  """Returns the processes of a job, whose coordinator listens on `port`."""
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
  """Returns the commands as a shell would start them, one for each process."""
  commands = []
  for process in processes(job, 'PORT'):
    added = [f'{key}={value}' for key, value in process.environment.items()]
    command = ['python', *process.command[1:]]
    commands.append(['env', *added, *command] if added else command)
  return job_lib.Plan({}, commands)


def run(job: job_lib.Job, stop: Stop | None = None) -> int:
  """Runs a job to its end, with restarts; returns the exit code that matters.

  Args:
    job: the job.
    stop: signals that have come; None to listen for them from now on.

  Returns:
    0 where all is done, or the code of the process that failed first; of
    several that failed at once, one that no restart would help.
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
      # What has run for so long does not fail at its start again and again.
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
  """Starts processes and returns when none is left; see `run` for the code.

  Args:
    group: the processes.
    stop: signals that have come.
    grace_seconds: how long processes may take to end after a signal, or after
      another one has ended in order.
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
  """Waits until all have ended or must be killed; returns the exit code."""
  deadline, seen, first, forwarded = float('inf'), set(), None, 0
  while len(seen) < len(started):
    # Signals are passed to the leaders alone: a process stops its own workers.
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

    # What ended since the last look, and how.
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
    # The others may finish what they do after an end in order, and no more than
    # say so after a failure: without their peer they would wait for ever.
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
  """Returns what a new process calls to get SIGTERM when the launcher dies."""
  if sys.platform != 'linux':
    return None
  # Looked up before the process is forked.
  prctl = ctypes.CDLL(None).prctl
  return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _devices(job, process_id):
  """Environment variables that give a process its devices."""
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
  """-15, as Python says it of SIGTERM, to 143, as a shell does."""
  return 128 - code if code < 0 else code


def _print_lines(index, process):
  for line in process.stdout:
    print(f'[{index}] {line}', end='' if line.endswith('\n') else '\n')
    sys.stdout.flush()


def _end_group(process):
  """Waits for what a process has left to end, and kills it if it does not.

  Workers end with their parent, and then the process of multiprocessing that
  removes their shared memory, which would stay for ever if it was killed.
  """
  deadline = time.monotonic() + _LEFT_SECONDS
  # There is no such group once all of its processes have ended.
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
