"""Errors of files that are damaged, as one line each."""

from collections.abc import Iterator, Sequence
import contextlib
import functools
import logging
import os
import re
import sys

# What a file that is damaged, missing or unreadable has made libraries raise.
# Lack of memory and errors of devices are not among them.
_ERRORS = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
)


# What the messages of reads have that Orbax has given up on.
_ABANDONED = (
    'Event loop is closed',
    'Encountered error while reading array index',
    'tensorstore_spec',
)


class DamagedError(ValueError):
  """A checkpoint cannot be read, or is not what was saved.

  Attributes:
    reason: what is wrong with it, in one line.
  """

  def __init__(self, path: str | os.PathLike[str], reason: str):
    super().__init__(f'{os.fspath(path)} is damaged: {reason}')
    self.reason = reason


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
  """Turns what reading a damaged file raises into a `DamagedError`.

  Args:
    path: path of what is read, for the message.
  """
  _drop_abandoned_reads()
  try:
    yield
  except DamagedError:
    raise
  except Exception as error:
    # Orbax itself raises `Exception`, and nothing else is caught by that name.
    if type(error) is not Exception and not isinstance(error, _ERRORS):
      raise
    raise DamagedError(path, summarize(error)) from error


def summarize(error: BaseException) -> str:
  """Returns one line that says what is wrong.

  The messages of TensorStore fill pages, with all of its settings and the lines
  of its source.
  """
  if type(error) is Exception and error.__cause__ is not None:
    error = error.__cause__
  text = re.split(r' ?\[(?:tensorstore_spec|source locations)=', str(error))[0]
  line = ' '.join(text.split())
  # The beginning says what was read, the end what is wrong.
  if len(line) > 300:
    line = f'{line[:120]} ... {line[-170:]}'
  if isinstance(error, KeyError) or not line:
    return f'{type(error).__name__} {line}'.strip()
  return line


@functools.cache
def _drop_abandoned_reads():
  """Keeps Python from printing errors of reads that nobody waits for any more.

  Orbax reads all arrays at once and leaves when the first one fails. The others
  then find its event loop closed: pages of tracebacks that say nothing.
  """
  hook = sys.unraisablehook

  def is_abandoned(text):
    return any(sign in text for sign in _ABANDONED)

  def drop(unraisable):
    if not is_abandoned(str(unraisable.exc_value)):
      hook(unraisable)

  logging.getLogger('asyncio').addFilter(
      lambda record: not is_abandoned(record.getMessage())
  )

  sys.unraisablehook = drop


def name_keys(keys: Sequence[str]) -> str:
  """Returns a text that names the first few of some keys."""
  more = f' and {len(keys) - 3} more' if len(keys) > 3 else ''
  return ', '.join(keys[:3]) + more
