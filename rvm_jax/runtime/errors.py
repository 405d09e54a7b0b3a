"""How a run reports an error: one line on the screen, the rest in a file.

Whatever ends a run, the last line on the screen begins with `error:`. The
tracebacks, also those that other packages log or print meanwhile, are in a file
in `WORKDIR/errors`, which the line before names.
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
# What people can cause by a setting, a file or a machine. After any other error
# the traceback is on the screen too, since it is a mistake in the code.
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


# Others of this kind: of the network, and of a worker process that was killed.
_RESTARTABLE = (
    Restartable,
    ConnectionError,
    TimeoutError,
    concurrent.futures.BrokenExecutor,
)
# How messages of JAX begin that a restart would not change. With the others a
# process or a device was lost.
_LASTING = (
    'RESOURCE_EXHAUSTED',
    'INVALID_ARGUMENT',
    'NOT_FOUND',
    'UNIMPLEMENTED',
)
# How errors of other types begin in which JAX says that a process or a device
# was lost: a step that cannot be dispatched raises a ValueError.
_LOST = (
    'ABORTED:',
    'CANCELLED:',
    'DEADLINE_EXCEEDED:',
    'INTERNAL:',
    'UNAVAILABLE:',
    'UNKNOWN:',
)
_MAX_CHARACTERS = 500
# What TensorStore and JAX append to messages, such as places in their code, and
# how Python begins those of the system.
_APPENDED = re.compile(r'\s*\[(source locations|os_error_code|type\.google).*')
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

  Nothing is left to run at exit, where it might print more or wait for
  processes that are gone. What means an exit, as SystemExit does, passes.

  Attributes:
    workdir: folder of the run, once this run may write to it. Before that,
      there is no file of tracebacks.
  """

  def __init__(self, mistake: int = exit_codes.ERROR):
    """Makes reports of an error to come.

    Args:
      mistake: exit code if people can cause the error.
    """
    self._mistake = mistake
    self.workdir: str | None = None
    self._file: str | None = None
    self._shown: set[str] = set()
    self._lock = threading.Lock()

  def __enter__(self) -> 'Reports':
    # Errors in threads and in callbacks of other packages come here. They may
    # be many: those of a full disk filled hundreds of lines.
    sys.excepthook = self._note
    sys.unraisablehook = lambda x: self._note(
        x.exc_type, x.exc_value, x.exc_traceback
    )
    threading.excepthook = lambda x: self._note(
        x.exc_type, x.exc_value, x.exc_traceback
    )
    logging.get_absl_handler().addFilter(self._shorten)
    return self

  def __exit__(self, kind, error, trace):
    logging.get_absl_handler().removeFilter(self._shorten)
    sys.excepthook = sys.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    if isinstance(error, KeyboardInterrupt):
      # So early in a run that `stops` does not listen yet.
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
    """Writes an error of a thread to the file, and shows each kind once."""
    self._write(''.join(traceback.format_exception(kind, error, trace)))
    line = summarise(error if error is not None else kind())
    if line not in self._shown:
      self._shown.add(line)
      logging.warning('An error besides: %s', line)

  def _shorten(self, record: python_logging.LogRecord) -> bool:
    """Cuts a message of the log to a line, and writes its traceback away."""
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
        # The disk is full, for instance; the last line says so.
        self._file = None


def summarise(error: BaseException) -> str:
  """Returns what an error says, in one line of at most 500 characters."""
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
    # The text of a KeyError, or of one inside of an AttributeError, is quoted.
    text = _shorten(str(getattr(error.args[0], 'args', error.args)[0]))
    return f'the config lacks a setting: {text}'
  if text and _is_mistake(error):
    return text
  return f'{type(error).__name__}: {text}' if text else type(error).__name__


def choose_code(error: BaseException) -> int:
  """Returns the exit code that tells whether the same command may succeed."""
  if is_of_devices(error) or isinstance(error, _RESTARTABLE):
    return exit_codes.RESTART
  return exit_codes.ERROR


def is_of_devices(error: BaseException) -> bool:
  """Returns whether a lost process or device can have caused an error."""
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
    mistake: exit code if they are wrong.
    read: function that reads the command line, such as `config.parse_flags`.

  Returns:
    The arguments that are not flags, after the name of the program.
  """
  with Reports(mistake):
    return read(argv)


def _is_mistake(error: BaseException) -> bool:
  """Returns whether people can cause an error."""
  return isinstance(error, _MISTAKES) or _lacks_setting(error)


def _lacks_setting(error: BaseException) -> bool:
  """Returns whether an error is that of a setting which a ConfigDict lacks.

  A ConfigDict raises such an error while it handles a KeyError. Other errors of
  these types come from the code of a config.
  """
  if not isinstance(error, (AttributeError, KeyError)) or not error.args:
    return False
  lacking = error.args[0] if isinstance(error, AttributeError) else error
  return isinstance(getattr(lacking, '__context__', None), KeyError)


def _shorten(text: str) -> str:
  """Returns the text in one line, without places in the source code."""
  # Some messages hold a traceback, of which the last line is the error.
  before, found, trace = text.partition('Traceback (most recent call last)')
  if found:
    text = f'{before} {trace.strip().splitlines()[-1]}'
  text = _APPENDED.sub('', ' '.join(text.split()))
  text = _PREPENDED.sub('', text)
  return textwrap.shorten(text, _MAX_CHARACTERS, placeholder=' ...')
