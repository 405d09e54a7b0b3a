"""The processes of a run watch each other, so that none waits for a dead one.

Each process holds a connection to process 0. If a process dies, its connection
is closed; if its host is lost or frozen, no more messages come. Process 0 then
tells all others which process is lost, and all end with one line and the exit
code `RESTART`. Without this, a process would wait in a collective until JAX
notices, after 100 s, and would then be aborted with dozens of lines of C++.

A process that is done, or that was told to stop, says so before it ends. A
process that fails says why.
"""

from collections.abc import Mapping
import contextlib
import selectors
import threading
import time
from typing import Any

from rvm_jax.runtime import ending
from rvm_jax.runtime import errors
from rvm_jax.runtime import exit_codes
from rvm_jax.runtime import facts as facts_lib
from rvm_jax.runtime import links as links_lib
from rvm_jax.runtime import stops

# Interval at which a process sends a sign of life.
BEAT_SECONDS = 2.0
# A process from which nothing has come for this long counts as lost.
SILENCE_SECONDS = 15.0
# Some errors occur in all processes, such as a wrong setting. After the first
# process has reported its error, the others have this long to report their own.
_OWN_ERROR_SECONDS = 2.0
# An error may be the echo of a loss: an operation fails because another process
# is lost. Before a process reports an error of JAX, it waits this long for the
# message that another process is lost.
_ECHO_SECONDS = 3.0
# The same wait before an error that is not JAX's, which is rarely an echo.
_MOMENT = 0.5
# Longest time that process 0, which runs JAX's coordinator, stays until the
# others have read its last message and ended. JAX aborts a process whose
# coordinator is gone.
_LINGER_SECONDS = 4.0
# How long a process that fails may still close its files and threads after all
# other processes have ended.
_ALONE_SECONDS = 5.0
_POLL_SECONDS = 0.25


class Peers(contextlib.AbstractContextManager):
  """The other processes of a run, as this process is connected to them.

  It is a context manager for a `with` block that spans the run. Without an
  error, the block ends when all processes have reached its end. If an error
  ends it, the others are told first.

  Attributes:
    me: this process.
  """

  def __init__(
      self,
      me: links_lib.Member,
      links: Mapping[links_lib.Link, links_lib.Member],
      count: int,
  ):
    """Starts a thread that watches the other processes.

    Args:
      me: this process.
      links: links to the other processes: in process 0 a link to each of them,
        in another process the link to process 0; empty in a run of one process.
      count: number of processes of the run.
    """
    self.me = me
    self._count = count
    self._links = dict(links)
    self._heard = dict.fromkeys(self._links, time.monotonic())
    # In process 0: the facts that each process has sent in this round, and the
    # processes that are done.
    self._facts: dict[int, dict[str, str]] = {}
    self._done: set[int] = set()
    # How the facts differ, according to process 0: '' if they do not, None as
    # long as it has not answered.
    self._verdict: str | None = None
    # Whether all processes are done, according to process 0.
    self._is_over = False
    # The line with which process 0 tells this process to end, '' if it does
    # not, and the monotonic time from which on the process may end.
    self._line = ''
    self._end_at = float('inf')
    # Whether this process ends by an error of its own. The line above then does
    # not end it.
    self._is_failing = False
    # The error of this process that the others were told of.
    self._told: BaseException | None = None
    # The monotonic time at which the last connection ended.
    self._alone_since = float('inf')
    # Guards all attributes above; waiting threads are notified of changes.
    self._changed = threading.Condition()
    self._thread = threading.Thread(
        target=self._watch, name='peers', daemon=True
    )
    if count > 1:
      self._thread.start()

  def agree(self, facts: Mapping[str, str]):
    """Waits until all processes call this method, and compares their facts.

    All processes must call it equally often: their first calls are compared
    with each other, then their second calls, and so on.

    Args:
      facts: texts by name, such as the settings of the run.

    Raises:
      ValueError: facts differ. The message, the same in all processes, says
        which facts and in which processes.
    """
    with self._changed:
      self._tell(facts=dict(facts))
      self._changed.wait_for(lambda: self._verdict is not None)
      verdict, self._verdict = self._verdict, None
    if verdict:
      raise ValueError(verdict)

  def fail(self, line: str):
    """Tells the others that this process is about to end, and why.

    Args:
      line: what has happened.
    """
    with self._changed:
      self._is_failing = True
      self._tell(failed=f'{self.me} failed: {line}')
      if not self.me.process:
        self._changed.wait_for(lambda: not self._links, _LINGER_SECONDS)

  def tell(self, error: BaseException):
    """Tells the others of an error that ends this process.

    If the error is the echo of a loss, this process ends here with the line
    that names the lost process. Otherwise the caller may go on closing files
    and threads. As that may wait for the other processes in vain, this process
    ends no later than 5 s after them. Only the first error is told.
    Nothing is told in a run of one process, or if `_is_orderly(error)`.

    Args:
      error: the error.
    """
    if self._told is not None or _is_orderly(error) or self._count == 1:
      return
    is_echo = errors.is_of_devices(error)
    with self._changed:
      self._changed.wait_for(
          lambda: self._line, _ECHO_SECONDS if is_echo else _MOMENT
      )
      if self._line and (is_echo or time.monotonic() >= self._end_at):
        # The watching thread ends this process with that line.
        self._changed.wait_for(lambda: False)
      self._told = error
    self.fail(errors.summarise(error))

  def __exit__(self, kind, error, traceback):
    if error is None or _is_orderly(error):
      with self._changed:
        self._tell(done=True)
        self._changed.wait_for(lambda: self._is_over)
      if self._links:
        self._thread.join()
      return
    self.tell(error)
    if self._told is not None and self._told is not error:
      # This error occurred while the run was being closed. The one that ended
      # the run was told before, and is raised.
      raise self._told

  def _tell(self, **message: Any):
    """Hands a message to process 0, which may be this one."""
    if self.me.process:
      self._send(message)
    else:
      self._hear(self.me, message)

  def _announce(self, **message: Any):
    """Hands a message of process 0 to all processes, itself included."""
    self._send(message)
    self._hear(self.me, message)

  def _send(self, message: Mapping[str, Any]):
    for link in list(self._links):
      link.send(**message)

  def _hear(self, member: links_lib.Member, message: Mapping[str, Any]):
    """Acts on a message of a process."""
    match message:
      # Messages to process 0.
      case {'facts': facts}:
        self._facts[member.process] = facts
        if len(self._facts) == self._count:
          everywhere, self._facts = self._facts, {}
          self._announce(verdict=facts_lib.compare(everywhere))
      case {'done': True}:
        self._done.add(member.process)
        if len(self._done) == self._count:
          self._announce(all_done=True)
      case {'failed': line}:
        self._announce(end=line, delay=_OWN_ERROR_SECONDS)
      # Messages of process 0.
      case {'verdict': verdict}:
        self._verdict = verdict
      case {'all_done': True}:
        self._is_over = True
      case {'end': line, 'delay': delay}:
        if not self._line:
          self._line = line
          self._end_at = time.monotonic() + delay
    self._changed.notify_all()

  def _lose(self, link: links_lib.Link, why: str):
    """Acts on the end of a connection; `why` goes into the line about it."""
    member = self._links.pop(link)
    link.close()
    is_expected = self._is_over or self._line or member.process in self._done
    if not is_expected:
      self._announce(end=f'{member} is lost: {why}', delay=0)
    if not self._links:
      self._alone_since = time.monotonic()
    self._changed.notify_all()

  def _watch(self):
    """Reads and sends messages until this process ends."""
    last_beat = 0.0
    over_at = None
    with selectors.DefaultSelector() as selector:
      for link in self._links:
        selector.register(link, selectors.EVENT_READ, link)
      while True:
        ready = [key.data for key, _ in selector.select(_POLL_SECONDS)]
        now = time.monotonic()
        with self._changed:
          for link in ready:
            self._read(link, selector)
          for link in list(self._links):
            if now > self._heard[link] + SILENCE_SECONDS:
              selector.unregister(link)
              self._lose(link, f'no sign of life for {SILENCE_SECONDS:g} s')
          if now > last_beat + BEAT_SECONDS:
            self._send({})
            last_beat = now
          if self._is_over:
            over_at = over_at or now
            # Process 0 leaves last, so that the others can read that all are
            # done.
            if self.me.process or self._may_leave(over_at):
              break
          if self._is_failing:
            is_late = now > self._alone_since + _ALONE_SECONDS
            if is_late and self._told is not None:
              ending.end_now(
                  errors.choose_code(self._told),
                  f'error: {errors.summarise(self._told)}',
              )
          elif self._line and self._may_leave(self._end_at):
            ending.end_now(exit_codes.RESTART, self._line)
    for link in self._links:
      link.close()

  def _may_leave(self, since: float) -> bool:
    """Returns whether this process may end now.

    Args:
      since: monotonic time from which on it may end. Process 0 then still waits
        a limited time for the others to end.
    """
    now = time.monotonic()
    if self.me.process:
      # If process 0 is gone, JAX would soon abort this process.
      return now >= since or not self._links
    return now >= since and (not self._links or now >= since + _LINGER_SECONDS)

  def _read(self, link: links_lib.Link, selector: selectors.BaseSelector):
    """Reads from a link that has something to read."""
    try:
      messages = link.receive()
    except (EOFError, ValueError) as error:
      selector.unregister(link)
      self._lose(link, str(error))
    else:
      self._heard[link] = time.monotonic()
      for message in messages:
        self._hear(self._links[link], message)


def _is_orderly(error: BaseException) -> bool:
  """Returns whether an exception ends a run that is done or told to stop."""
  if isinstance(error, SystemExit):
    return error.code in (None, exit_codes.DONE, exit_codes.PREEMPTED)
  return isinstance(error, stops.Stopped)
