"""How a run reports an error: one line on the screen, the rest in a file.

If an exception ends a run, the last line on the screen begins with `error:`.
Tracebacks, also those of errors that other packages log or print, go to a file
in `WORKDIR/errors`, which the line before the last one names. A run that ends
otherwise prints a line that begins differently: after a signal (`stops`), a
hang (`watchdog`), or the loss or absence of another process (`peers`,
`processes`).
"""

from collections.abc import Callable
import concurrent.futures
import contextlib
import logging as python_logging
import os
import re
import signal
import socket
import sys
import textwrap
import threading
import time
import traceback

from absl import flags
from absl import logging
import jax

from rvm_jax.runtime import ending
from rvm_jax.runtime import exit_codes

FOLDER = 'errors'
# Mistakes: errors that users can cause by a setting, a file or a machine. Any
# other error is a bug, so that its traceback is also shown on the screen.
_MISTAKES = (
    EOFError,
    ImportError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    flags.Error,
)


class Restartable(Exception):
  """An error after which the same command may succeed."""


# All errors after which the same command may succeed. Besides `Restartable`
# these are errors of the network, and the error that a killed worker process
# causes.
_RESTARTABLE = (
    Restartable,
    ConnectionError,
    TimeoutError,
    concurrent.futures.BrokenExecutor,
)
# Beginnings of the messages of JAX's errors that would occur again after a
# restart. All other errors of JAX mean that a process or a device was lost.
_LASTING = (
    'RESOURCE_EXHAUSTED',
    'INVALID_ARGUMENT',
    'NOT_FOUND',
    'UNIMPLEMENTED',
)
# JAX also reports a lost process or device by errors of other types: a step
# that cannot be dispatched raises a ValueError. Their messages begin like this.
_LOST = (
    'ABORTED:',
    'CANCELLED:',
    'DEADLINE_EXCEEDED:',
    'INTERNAL:',
    'UNAVAILABLE:',
    'UNKNOWN:',
)
_MAX_CHARACTERS = 500
# Details that TensorStore and JAX append to messages, such as places in their
# code.
_APPENDED = re.compile(r'\s*\[(source locations|os_error_code|type\.google).*')
# The number with which Python begins the messages of the operating system.
_PREPENDED = re.compile(r'^\[Errno \d+\] ')
_ON_DEVICE = (
    'out of memory on the device: raise config.num_microbatches, lower'
    ' config.data.batch_size, or set config.model.remat or config.fsdp'
)
_ON_HOST = (
    'out of memory on this machine: lower config.data.num_workers or'
    ' config.data.prefetch'
)


class Reports(contextlib.AbstractContextManager):
  """Reports the error with which its `with` block ends, and ends the process.

  Functions that were registered to run at exit do not run, because they might
  print more or wait for lost processes. Exceptions that mean an exit, such as
  SystemExit, leave the block as usual.

  Attributes:
    workdir: folder of the run, once this run may write to it. As long as it is
      None, no file of tracebacks is written.
  """

  def __init__(self, mistake: int = exit_codes.ERROR):
    """Prepares to report an error.

    Args:
      mistake: exit code after a user's mistake, that is after an error of the
        types in `_MISTAKES` or a setting that the config lacks. Errors after
        which a restart may help have the code RESTART nevertheless.
    """
    self._mistake = mistake
    self.workdir: str | None = None
    self._file: str | None = None
    self._shown: set[str] = set()
    self._lock = threading.Lock()

  def __enter__(self) -> 'Reports':
    # Errors in threads and in callbacks of other packages go to `_note`. A full
    # disk, for example, causes hundreds of lines of them.
    sys.excepthook = self._note
    sys.unraisablehook = lambda x: self._note(
        x.exc_type, x.exc_value, x.exc_traceback
    )
    threading.excepthook = lambda x: self._note(
        x.exc_type, x.exc_value, x.exc_traceback
    )
    logging.get_absl_handler().addFilter(self._move_traceback)
    return self

  def __exit__(self, kind, error, trace):
    logging.get_absl_handler().removeFilter(self._move_traceback)
    sys.excepthook = sys.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    if isinstance(error, KeyboardInterrupt):
      # `stops` handles Ctrl-C later in a run. It does not listen yet.
      ending.end_now(128 + signal.SIGINT, 'ended by Ctrl-C')
    if isinstance(error, Exception):
      self._write(''.join(traceback.format_exception(error)))
      logging.flush()
      code = choose_code(error)
      if not _is_mistake(error):
        traceback.print_exception(error)
      elif code == exit_codes.ERROR:
        code = self._mistake
      if self._file:
        print(f'The traceback is in {self._file}', file=sys.stderr)
      ending.end_now(code, f'error: {summarise(error)}')

  def _note(self, kind, error, trace):
    """Writes an error to the file, and logs its summary once.

    Errors with the summary of an earlier one are only written to the file.
    """
    self._write(''.join(traceback.format_exception(kind, error, trace)))
    line = summarise(error if error is not None else kind())
    if line not in self._shown:
      self._shown.add(line)
      logging.warning('Another error: %s', line)

  def _move_traceback(self, record: python_logging.LogRecord) -> bool:
    """Moves the traceback of a log record to the file; always returns True.

    As a filter of the log's handler it is called for every record, and True
    means that the record is printed.
    """
    if record.exc_info and record.exc_info[0] is not None and self.workdir:
      self._write(
          record.getMessage()
          + '\n'
          + ''.join(traceback.format_exception(*record.exc_info))
      )
      record.msg, record.args = _shorten(record.getMessage()), ()
      record.exc_info = record.exc_text = None
    return True

  def _write(self, text: str):
    """Appends a text to the file of tracebacks, if there may be one."""
    if self.workdir is None or '://' in self.workdir:
      return
    with self._lock:
      try:
        if self._file is None:
          folder = os.path.join(self.workdir, FOLDER)
          os.makedirs(folder, exist_ok=True)
          name = f'{time.strftime("%Y-%m-%d_%H-%M-%S")}_{socket.gethostname()}'
          self._file = os.path.join(folder, f'{name}_{os.getpid()}.txt')
        with open(self._file, 'a') as file:
          file.write(text + '\n')
      except OSError:
        # The disk may be full. Until a write succeeds, no file is named.
        self._file = None


def summarise(error: BaseException) -> str:
  """Returns what an error says, in one line of about 500 characters at most."""
  text = _shorten(str(error))
  if isinstance(error, jax.errors.JaxRuntimeError):
    if text.startswith('RESOURCE_EXHAUSTED'):
      return _shorten(f'{_ON_DEVICE} ({text})')
  elif isinstance(error, MemoryError):
    return f'{_ON_HOST} ({text})' if text else _ON_HOST
  elif 'No space left on device' in str(error):
    return _shorten(f'the disk is full: {text}')
  elif isinstance(error, SyntaxError):
    return f'{error.filename}:{error.lineno}: {error.msg}'
  elif _lacks_setting(error):
    # The message is an argument of the KeyError, which an AttributeError may
    # wrap. str() would put it into quotation marks.
    text = _shorten(str(getattr(error.args[0], 'args', error.args)[0]))
    return f'the config lacks a setting: {text}'
  if text and _is_mistake(error):
    return text
  return f'{type(error).__name__}: {text}' if text else type(error).__name__


def choose_code(error: BaseException) -> int:
  """Returns the exit code for an error: RESTART if a restart may help."""
  if is_of_devices(error) or isinstance(error, _RESTARTABLE):
    return exit_codes.RESTART
  return exit_codes.ERROR


def is_of_devices(error: BaseException) -> bool:
  """Returns whether a lost process or device may be the cause of an error."""
  if isinstance(error, jax.errors.JaxRuntimeError):
    return not str(error).startswith(_LASTING)
  return str(error).startswith(_LOST)


def parse_flags(
    argv: list[str],
    mistake: int = exit_codes.ERROR,
    read: Callable[[list[str]], list[str]] = flags.FLAGS,
) -> list[str]:
  """Reads the flags and the config; ends the process if they are wrong.

  Args:
    argv: command line, as `absl.app.run` hands it to its `flags_parser`.
    mistake: exit code if the flags or the config are wrong.
    read: function that reads the command line, such as `config.parse_flags`.

  Returns:
    The arguments that are not flags, after the name of the program.
  """
  with Reports(mistake):
    return read(argv)


def _is_mistake(error: BaseException) -> bool:
  """Returns whether an error is a user's mistake."""
  return isinstance(error, _MISTAKES) or _lacks_setting(error)


def _lacks_setting(error: BaseException) -> bool:
  """Returns whether an error says that a ConfigDict lacks a setting.

  A ConfigDict looks the setting up in a dict, and turns the dict's KeyError
  into a KeyError of its own, with the first one as its context. For an access
  as an attribute, it wraps its KeyError in an AttributeError. Errors of these
  types from other code, such as a config file's, have no such context.
  """
  if not isinstance(error, (AttributeError, KeyError)) or not error.args:
    return False
  lacking = error.args[0] if isinstance(error, AttributeError) else error
  return isinstance(getattr(lacking, '__context__', None), KeyError)


def _shorten(text: str) -> str:
  """Returns the text in one line, without places in the source code."""
  # Some messages contain a traceback. Its last line is the error.
  before, found, trace = text.partition('Traceback (most recent call last)')
  if found:
    text = f'{before} {trace.strip().splitlines()[-1]}'
  text = _APPENDED.sub('', ' '.join(text.split()))
  text = _PREPENDED.sub('', text)
  return textwrap.shorten(text, _MAX_CHARACTERS, placeholder=' ...')
