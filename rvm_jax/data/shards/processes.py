"""Runs tasks in processes, of which each may crash alone."""

import collections
from collections.abc import Callable, Iterator
import multiprocessing
from multiprocessing import connection as connection_lib
import signal
from typing import Any, NamedTuple

from rvm_jax.data import workers

# What kills a process at an error in native code.
_CRASHES = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)


class Crash(NamedTuple):
  """What a task yields last whose process crashed.

  Attributes:
    name: name of the signal, such as 'SIGSEGV'.
  """

  name: str


def run(
    function: Callable[[Any], Iterator[Any]],
    waiting: collections.deque,
    num_processes: int,
) -> Iterator[tuple[Any, Any]]:
  """Runs tasks in several processes and passes on what they yield.

  Args:
    function: generator function that takes a task, at the top level of a
      module.
    waiting: the tasks. More may be appended while this runs.
    num_processes: number of processes; 1 runs all tasks in this process, which
      a crash then ends.

  Yields:
    (task, what it yields), for each task in order; a task that crashes its
    process yields a `Crash` last.

  Raises:
    OSError: a task raised it. The other tasks are ended.
    RuntimeError: a process was killed from outside, or a task raised another
      error, which is printed.
  """
  if num_processes == 1:
    while waiting:
      task = waiting.popleft()
      yield from ((task, message) for message in function(task))
    return
  processes, idle, busy = {}, [], {}
  try:
    while waiting or busy:
      while waiting and len(busy) < num_processes:
        connection = idle.pop() if idle else _start(function, processes)
        busy[connection] = waiting.popleft()
        connection.send(busy[connection])
      for connection in connection_lib.wait(list(busy)):
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
  """Starts a process and returns the connection to it.

  Args:
    function: generator function that takes a task, as `run` takes it.
    processes: the processes by their connections, to which it is added.
  """
  context = multiprocessing.get_context('spawn')
  ours, theirs = context.Pipe()
  process = context.Process(target=_work, args=(function, theirs), daemon=True)
  with workers.without_signals():
    process.start()
  # Then the end of the process ends the connection.
  theirs.close()
  processes[ours] = process
  return ours


def _work(
    function: Callable[[Any], Iterator[Any]],
    connection: connection_lib.Connection,
):
  """Runs tasks that come through a connection, in a process of their own."""
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
  """Returns how a process crashed; raises RuntimeError if it did not."""
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
      f'worker process {process.pid} ended with exit code {code}: see above'
  )
