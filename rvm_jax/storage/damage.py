"""Turns the errors that damaged files cause into errors of one line."""

from collections.abc import Sequence
import contextlib
import functools
import logging
import os
import re
import sys

# Errors that libraries have been seen to raise because a file is damaged,
# missing or unreadable. They do not include lack of memory or device errors.
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

# A printed message that contains one of these texts repeats an error that is
# also raised.
_REPEATED = (
    'Event loop is closed',
    'Encountered error while reading array index',
    'tensorstore_spec',
    '_SignalingThread.run() raised an exception',
)
# What is shortened in messages of TensorStore, as (pattern, replacement): its
# settings, the lines of its source, and the folders of a file.
_DETAILS = (
    (r' ?\[(?:tensorstore_spec|source locations|os_error_code)=.*', ''),
    (r' in OCDBT database at [\w ]+ "[^"]*"', ''),
    (r'"/[^"]*/([^"/]+)/?"', r'"\1"'),
)


class DamagedError(ValueError):
  """A checkpoint cannot be read, or is not what was saved.

  Attributes:
    reason: what is wrong with it, in one line.
  """

  def __init__(self, path: str | os.PathLike[str], reason: str):
    super().__init__(f'{os.fspath(path)} is damaged: {reason}')
    self.reason = reason


class Naming(contextlib.AbstractContextManager):
  """Turns errors of reading a file into `DamagedError`s that name the file."""

  def __init__(self, path: str | os.PathLike[str]):
    """Creates the context.

    Args:
      path: path of the checkpoint or file that is read, for the message.
    """
    self._path = path
    drop_repeated()

  def __exit__(self, kind, error, trace):
    # Orbax raises bare objects of the class `Exception`, of no subclass.
    is_damage = type(error) is Exception or isinstance(error, _ERRORS)
    if is_damage and not isinstance(error, DamagedError):
      raise DamagedError(self._path, summarize(error)) from error


def summarize(error: BaseException) -> str:
  """Shortens the message of an error to one line.

  TensorStore's messages would fill pages.

  Args:
    error: the error that a library has raised.
  """
  # A bare `Exception` of Orbax says less than the error that caused it.
  if type(error) is Exception and error.__cause__ is not None:
    error = error.__cause__
  text = str(error)
  for pattern, kept in _DETAILS:
    text = re.sub(pattern, kept, text, flags=re.DOTALL)
  line = ' '.join(text.split())
  # The beginning says what was read, the end what is wrong.
  if len(line) > 300:
    line = f'{line[:120]} ... {line[-170:]}'
  if isinstance(error, KeyError) or not line:
    return f'{type(error).__name__} {line}'.strip()
  return line


@functools.cache
def drop_repeated():
  """Keeps Python and Orbax from printing errors that are raised as well.

  Orbax reads all arrays at once and stops at the first that fails. The reads of
  the other arrays then fail too, because the event loop is closed. And the
  threads with which Orbax writes log every error that they raise. Either prints
  pages of tracebacks.
  """
  hook = sys.unraisablehook

  def is_repeated(text):
    return any(part in text for part in _REPEATED)

  def drop(unraisable):
    if not is_repeated(str(unraisable.exc_value)):
      hook(unraisable)

  sys.unraisablehook = drop
  for name in ('absl', 'asyncio'):
    logging.getLogger(name).addFilter(
        lambda record: not is_repeated(record.getMessage())
    )


def name_keys(keys: Sequence[str]) -> str:
  """Returns a text that names the first few of some keys."""
  more = f' and {len(keys) - 3} more' if len(keys) > 3 else ''
  return ', '.join(keys[:3]) + more
