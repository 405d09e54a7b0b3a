"""Runs tasks in worker processes: a crash ends one task, and not the others."""

import collections
from collections.abc import Callable, Iterator
import multiprocessing
from multiprocessing import connection as connection_lib
import signal
from typing import Any, NamedTuple

from rvm_jax.data import workers

# Signals that end a process when its native code, such as a decoder, crashes.
_CRASHES = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)


class Crash(NamedTuple):
  """Message in place of the rest of a task whose process crashed.

  Attributes:
    name: name of the signal that ended the process, such as 'SIGSEGV'.
  """

  name: str


def run(
    function: Callable[[Any], Iterator[Any]],
    waiting: collections.deque,
    num_processes: int,
) -> Iterator[tuple[Any, Any]]:
  """Runs tasks in several processes and passes on what they yield.

  Args:
    function: generator function that takes a task. It has to be at the top
      level of a module, so that another process can import it.
    waiting: the tasks. More may be appended while this runs.
    num_processes: greatest number of worker processes. With 1, all tasks run in
      this process, which a crash then ends.

  Yields:
    (task, message) for each message that `function` yields for a task. The
    messages of one task keep their order; those of several tasks alternate. If
    a task crashes its process, its last message is a `Crash`.

  Raises:
    OSError: a task raised it. The other tasks are ended.
    RuntimeError: a worker process was killed from outside, or a task raised an
      error of another kind, which its process has printed. In this process
      (`num_processes` is 1) errors of all kinds are raised as they are.
  """
  if num_processes == 1:
    while waiting:
      task = waiting.popleft()
      yield from ((task, message) for message in function(task))
    return
  # Worker processes and running tasks by the connections to the processes, and
  # the connections to processes without a task.
  processes, idle, busy = {}, [], {}
  try:
    while waiting or busy:
      while waiting and len(busy) < num_processes:
        connection = idle.pop() if idle else _start(function, processes)
        busy[connection] = waiting.popleft()
        connection.send(busy[connection])
      for connection in connection_lib.wait(list(busy)):
        # A connection ends when its process does.
        try:
          message, is_last = connection.recv()
        except (EOFError, ConnectionError):
          task = busy.pop(connection)
          yield task, _explain(processes.pop(connection))
          continue
        task = busy[connection]
        if is_last:
          idle.append(connection)
          del busy[connection]
        if isinstance(message, OSError):
          raise message
        if not is_last:
          yield task, message
  finally:
    for process in processes.values():
      process.kill()


def _start(
    function: Callable[[Any], Iterator[Any]], processes: dict
) -> connection_lib.Connection:
  """Starts a worker process and returns the connection to it.

  Args:
    function: generator function that takes a task, as in `run`.
    processes: processes by the connections to them. The new one is added.
  """
  context = multiprocessing.get_context('spawn')
  ours, theirs = context.Pipe()
  process = context.Process(target=_work, args=(function, theirs), daemon=True)
  with workers.without_signals():
    process.start()
  # The worker now holds the only other end, so reading from `ours` fails once
  # the worker has ended.
  theirs.close()
  processes[ours] = process
  return ours


def _work(
    function: Callable[[Any], Iterator[Any]],
    connection: connection_lib.Connection,
):
  """Runs the tasks that arrive at a worker process, one after the other.

  Args:
    function: generator function that takes a task, as in `run`.
    connection: connection through which tasks arrive. For each message of a
      task it sends (message, False); at the end of the task (None, True), or
      (error, True) after an OSError.
  """
  workers.live_with_parent()
  while True:
    task = connection.recv()
    try:
      for message in function(task):
        connection.send((message, False))
    except OSError as error:
      connection.send((error, True))
    else:
      connection.send((None, True))


def _explain(process: multiprocessing.process.BaseProcess) -> Crash:
  """Returns how a process crashed.

  Raises:
    RuntimeError: the process ended in another way. The error says which.
  """
  process.join()
  code = process.exitcode
  if code is not None and -code in _CRASHES:
    return Crash(signal.Signals(-code).name)
  if code == -signal.SIGKILL:
    raise RuntimeError(
        f'worker process {process.pid} was killed, by a person or for want of'
        ' memory: use fewer --workers'
    )
  raise RuntimeError(
      f'worker process {process.pid} ended with exit code {code}: look for its'
      ' error above'
  )
