"""The processes of a run watch each other, so that none waits for a dead one.

Each process holds a connection to process 0. A process that dies closes it, and
one whose host is lost or frozen falls silent: process 0 tells all others which
process is gone, and all end with one line and the exit code `RESTART`. Without
this a process would wait in a collective until JAX notices, after 100 s, and
would then be aborted with dozens of lines of C++.

A process that ends in order says so first, and one that fails says why.
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

# Seconds between signs of life, and of silence until a process counts as lost.
BEAT_SECONDS = 2.0
SILENCE_SECONDS = 15.0
# A mistake that all processes share fails in each of them. After the first has
# said so, the others have this long to say it themselves.
_OWN_ERROR_SECONDS = 2.0
# An error may be the echo of a lost process, whose news come soon: sooner than
# an error that says so, where it is not of JAX.
_ECHO_SECONDS = 3.0
_MOMENT = 0.5
# How long process 0 stays for the others to hear its last message, because JAX
# aborts a process whose coordinator is gone.
_LINGER_SECONDS = 4.0
# How long a process that fails may go on closing after the others have gone.
_ALONE_SECONDS = 5.0
_POLL_SECONDS = 0.25


class Peers(contextlib.AbstractContextManager):
  """The other processes of a run, as this process is connected to them.

  As a context manager it spans the run: it is left in order when all processes
  have come to its end, and by an error after the others were told.
  """

  def __init__(
      self,
      me: links_lib.Member,
      links: Mapping[links_lib.Link, links_lib.Member],
      count: int,
  ):
    """Starts to watch, in a thread.

    Args:
      me: this process.
      links: in process 0 a link to each other process, elsewhere one to process
        0; empty in a run of one process.
      count: number of processes of the run.
    """
    self.me = me
    self._count = count
    self._links = dict(links)
    self._heard = dict.fromkeys(self._links, time.monotonic())
    # What processes have said, kept in process 0.
    self._facts: dict[int, dict[str, str]] = {}
    self._done: set[int] = set()
    # What process 0 has said to all: the differences of facts, that all
    # processes are done, or the line to end with and when.
    self._verdict: str | None = None
    self._is_over = False
    self._line = ''
    self._end_at = float('inf')
    # Whether this process fails by itself, so that no line of others ends it;
    # with which error, if the others were told of one; and since when there are
    # no others.
    self._is_failing = False
    self._told: BaseException | None = None
    self._alone_since = float('inf')
    # Guards and announces all of the above.
    self._changed = threading.Condition()
    self._thread = threading.Thread(
        target=self._watch, name='peers', daemon=True
    )
    if count > 1:
      self._thread.start()

  def agree(self, facts: Mapping[str, str]):
    """Checks that all processes have the same facts, and waits for them.

    All processes must call this method, as often and in the same order.

    Args:
      facts: texts by name, such as the settings of the run.

    Raises:
      ValueError: facts differ; the message says which and where. It is raised
        in all processes.
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
    """Tells the others of an error that ends this process, and only once.

    If the error is the echo of a lost process, this process ends here with the
    line that says so. What is closed later may wait for the others in vain: it
    has a moment after they have gone, and then this process ends.

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
        # The thread ends this process with that line.
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
      # What fails while a run is closed is not what has ended it.
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
      # To process 0.
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
      # From process 0.
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
    """Acts on the end of a connection."""
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
            # The others leave first, so that they hear that all are done.
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
    """Returns whether this process may end, after a time and not alone."""
    now = time.monotonic()
    if self.me.process:
      # Without process 0 this process would soon be aborted.
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
  """Returns whether all processes end with this exception, and in order."""
  if isinstance(error, SystemExit):
    return error.code in (None, exit_codes.DONE, exit_codes.PREEMPTED)
  return isinstance(error, stops.Stopped)
