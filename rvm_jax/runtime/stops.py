"""Signals that ask a run to stop, and how all of its processes agree on it.

A scheduler sends SIGTERM to one process or to all, and Ctrl-C sends SIGINT to
all processes of a terminal. The run then ends at the next place at which all of
its processes can end together, after it has saved.
"""

import functools
import os
import signal
import threading

from absl import logging
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from rvm_jax.runtime import ending

# Exit code that a shell reports for a process that Ctrl-C has ended.
_INTERRUPTED = 128 + signal.SIGINT
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
  """A process of the run was asked to stop, and all processes know it."""


class Answer:
  """The common answer of all processes to the question whether to stop."""

  def __init__(self, value: bool | jax.Array):
    """Wraps a value.

    Args:
      value: whether to stop, as a bool or as an array of shape [], which need
        not be computed yet.
    """
    self._value = value

  def result(self) -> bool:
    """Waits for the answer, which all processes share, and returns it."""
    return bool(self._value)


class Stop:
  """Notices SIGTERM and SIGINT from the moment it is made.

  A second SIGINT ends the process at once, without saving, even if the main
  thread is busy: Python calls a handler only between two instructions of the
  main thread, and a compilation is a single one, so signals are read from a
  pipe by a thread of their own. A second SIGTERM changes nothing.

  JAX's preemption service must be off (`jax_enable_preemption_service`), since
  it would install a handler of its own.
  """

  def __init__(self):
    self._is_asked = False
    self._num_interrupts = 0
    self._before = {number: signal.getsignal(number) for number in _SIGNALS}
    reader, self._writer = os.pipe()
    os.set_blocking(self._writer, False)
    self._fd_before = signal.set_wakeup_fd(self._writer)
    for number in _SIGNALS:
      # The handler does nothing. It must exist, so that Python writes the
      # number of the signal to the pipe.
      signal.signal(number, lambda number, frame: None)
      # Lets the kernel restart interrupted system calls, because other
      # libraries may not handle an interruption.
      signal.siginterrupt(number, False)
    threading.Thread(
        target=self._listen, args=(reader,), name='stops', daemon=True
    ).start()

  def ask(self) -> Answer:
    """Asks all processes whether one of them was told to stop.

    All processes must call this method at the same place of the program. It
    does not wait: with several processes it dispatches a tiny reduction over
    all devices.

    Returns:
      The answer, whose method `result` waits for it.
    """
    if jax.process_count() == 1:
      return Answer(self._is_asked)
    mesh = _mesh()
    with jax.set_mesh(mesh):
      return Answer(_any(_flags(self._is_asked)))

  def check(self):
    """Raises an error if any process was told to stop.

    All processes must call this method at the same place of the program. It
    waits for their answer.

    Raises:
      Stopped: one of the processes was told to stop. The error is raised in all
        of them.
    """
    if self.ask().result():
      raise Stopped('stopped, there was nothing to save')

  def close(self):
    """Restores the handlers that the signals had before."""
    signal.set_wakeup_fd(self._fd_before)
    for number, handler in self._before.items():
      signal.signal(number, handler)
    # The thread that reads sees the end of the pipe, and ends.
    os.close(self._writer)

  def _listen(self, reader: int):
    """Acts on signals; the pipe holds their numbers, one byte each."""
    with open(reader, 'rb', buffering=0) as pipe:
      while number := pipe.read(1):
        if number[0] in _SIGNALS:
          self._act(signal.Signals(number[0]))

  def _act(self, number: signal.Signals):
    self._num_interrupts += number == signal.SIGINT
    if self._num_interrupts > 1:
      ending.end_now(_INTERRUPTED, 'ended by a second Ctrl-C: nothing is saved')
    if not self._is_asked:
      logging.info(
          '%s: stopping after this step; a second Ctrl-C ends at once',
          number.name,
      )
    self._is_asked = True


class Never:
  """Takes the place of a `Stop` in a program that does not handle signals."""

  def ask(self) -> Answer:
    """Returns the answer no."""
    return Answer(False)

  def check(self):
    """Does nothing."""


NEVER = Never()


@functools.cache
def _mesh() -> Mesh:
  """Returns a mesh of one axis with all devices of all processes."""
  return Mesh(np.array(jax.devices()), ('all',))


@functools.cache
def _flags(is_asked: bool) -> jax.Array:
  """Returns one flag for each device of the run, int32 [devices].

  This process sets the flags of its own devices, and the other processes those
  of theirs. The array is cached, so that nothing is copied to a device at each
  step.
  """
  devices = _mesh().devices
  return jax.make_array_from_callback(
      devices.shape,
      NamedSharding(_mesh(), PartitionSpec('all')),
      lambda index: np.full(1, is_asked, np.int32),
  )


@functools.partial(jax.jit, out_shardings=PartitionSpec())
def _any(flags: jax.Array) -> jax.Array:
  """Returns 1 on all devices if one of the flags is set, else 0."""
  return flags.max()
