"""Tasks run in several processes, and a crash ends one task only."""

import collections
import os
import signal

import pytest

from rvm_jax.data.shards import processes


def count(task):
  """Yields 0 to `task` - 1; if `task` is odd, it crashes in place of 3."""
  for number in range(task):
    if number == 3 and task % 2:
      os.kill(os.getpid(), signal.SIGSEGV)
    yield number


def fail(task):
  """Yields the task, then raises an OSError."""
  yield task
  raise FileNotFoundError(2, 'gone', 'a.mp4')


def die(task):
  """Yields the task, then kills its process as another one might do."""
  yield task
  os.kill(os.getpid(), signal.SIGKILL)


def collect(tasks, num_processes):
  """Returns the messages of each task, {task: [message]}.

  After the crash of a task, `task` - 1 is appended to the tasks.
  """
  found = collections.defaultdict(list)
  waiting = collections.deque(tasks)
  for task, message in processes.run(count, waiting, num_processes):
    found[task].append(message)
    if isinstance(message, processes.Crash):
      waiting.append(task - 1)
  return found


def test_tasks_yield_in_order_in_one_process_and_in_several():
  expected = {task: list(range(task)) for task in (2, 4, 6)}
  assert collect([2, 4, 6], 1) == expected
  assert collect([2, 4, 6], 2) == expected


def test_a_crash_ends_its_task_alone():
  assert collect([5, 2], 2) == {
      5: [0, 1, 2, processes.Crash('SIGSEGV')],
      4: [0, 1, 2, 3],
      2: [0, 1],
  }


@pytest.mark.parametrize('num_processes', [1, 2])
def test_system_errors_are_passed_on(num_processes):
  with pytest.raises(FileNotFoundError, match='a.mp4'):
    list(processes.run(fail, collections.deque([1]), num_processes))


def test_a_killed_process_is_no_crash():
  with pytest.raises(RuntimeError, match='was killed.*--workers'):
    list(processes.run(die, collections.deque([1]), 2))
