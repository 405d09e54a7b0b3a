"""An error of a run ends in one line; its traceback is in a file."""

import pathlib
import re
import subprocess
import sys

from absl import flags
import jax
from ml_collections import config_dict
import pytest

from rvm_jax.runtime import errors

ROOT = pathlib.Path(__file__).parents[2]
# A run that fails as the code says, with much printed before and at exit.
RUN = """
import atexit
import sys
import threading
from absl import logging
from rvm_jax.runtime import errors

def run():
  {code}

def log():
  try:
    raise ValueError('once ' + 100 * 'and again ')
  except ValueError:
    logging.exception('It failed: %s', 'here')

def crash():
  raise RuntimeError('Event loop is closed')

logging.use_absl_handler()
atexit.register(print, 'at exit', file=sys.stderr)
with errors.Reports() as reports:
  reports.workdir = {workdir!r}
  log()
  for _ in range(3):
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
  run()
"""


def run(code, workdir=None):
  """Runs the code; returns the exit code and the lines on the screen."""
  done = subprocess.run(
      [sys.executable, '-c', RUN.format(code=code, workdir=workdir)],
      cwd=ROOT,
      capture_output=True,
      text=True,
      timeout=120,
  )
  return done.returncode, done.stderr.splitlines()


def test_mistake_ends_in_one_line_with_all_tracebacks_in_a_file(tmp_path):
  code, lines = run("open('/no/such')", str(tmp_path))
  assert code == 1
  (path,) = (tmp_path / 'errors').iterdir()
  _, logged, other, *last = lines
  assert logged.endswith('It failed: here')
  assert other.endswith('Another error: Event loop is closed')
  assert last == [
      f'The traceback is in {path}',
      "error: No such file or directory: '/no/such'",
  ]
  text = path.read_text()
  assert text.count('Traceback') == 5
  assert text.count('RuntimeError: Event loop is closed') == 3
  assert 'ValueError: once and again' in text
  assert "FileNotFoundError: [Errno 2] No such file or directory: '/no" in text


def test_mistake_before_the_workdir_is_known_writes_no_file():
  code, lines = run("raise ValueError('width=3 must be even')")
  assert code == 1
  assert lines[-1] == 'error: width=3 must be even'
  assert not any('traceback is in' in line for line in lines)


def test_bug_shows_its_traceback_before_the_line(tmp_path):
  code, lines = run('1 / 0', str(tmp_path))
  assert code == 1
  assert lines[-1] == 'error: ZeroDivisionError: division by zero'
  assert lines[-2].startswith('The traceback is in ')
  assert lines[-3] == 'ZeroDivisionError: division by zero'
  assert 'Traceback (most recent call last):' in lines


def test_workdir_that_cannot_be_written_does_not_hide_the_error(tmp_path):
  (tmp_path / 'errors').touch()
  code, lines = run(
      "raise OSError(28, 'No space left on device')", str(tmp_path)
  )
  assert code == 1
  assert lines[-1] == 'error: the disk is full: No space left on device'


def test_error_of_the_network_asks_for_a_restart():
  code, lines = run("raise ConnectionResetError(104, 'Connection reset')")
  assert code == 76
  assert lines[-1] == 'error: Connection reset'


def test_ctrl_c_at_the_start_is_one_line():
  code, lines = run('raise KeyboardInterrupt')
  assert code == 130
  assert lines[-1] == 'ended by Ctrl-C'


def test_reports_let_an_exit_and_a_good_end_pass(tmp_path):
  hook = sys.excepthook
  with pytest.raises(SystemExit):
    with errors.Reports() as reports:
      reports.workdir = str(tmp_path)
      assert sys.excepthook != hook
      sys.exit(75)
  with errors.Reports():
    pass
  assert sys.excepthook == hook
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'message, code',
    [
        ('RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes', 1),
        ('INVALID_ARGUMENT: shapes', 1),
        ('UNAVAILABLE: Connection closed by peer', 76),
        ('DEADLINE_EXCEEDED: Barrier timed out', 76),
        ('INTERNAL: NCCL operation failed', 76),
    ],
)
def test_error_of_jax_asks_for_a_restart_unless_it_would_repeat(message, code):
  assert errors.choose_code(jax.errors.JaxRuntimeError(message)) == code


@pytest.mark.parametrize(
    'message, code',
    [('UNKNOWN: Gloo AllGather failed', 76), ('DATA_LOSS: a checksum', 1)],
)
def test_value_error_of_a_lost_process_asks_for_a_restart(message, code):
  assert errors.choose_code(ValueError(message)) == code


def test_summary_is_one_line_and_says_what_helps():
  def summarise(error):
    line = errors.summarise(error)
    assert '\n' not in line and len(line) <= 500
    return line

  assert summarise(ValueError('other settings:\n  a: 1\n  b: 2')) == (
      'other settings: a: 1 b: 2'
  )
  assert summarise(ValueError(200 * 'long ')).endswith('long ...')
  assert summarise(KeyError('x')) == "KeyError: 'x'"
  assert summarise(ValueError()) == 'ValueError'
  assert 'raise config.num_microbatches' in summarise(
      jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory')
  )
  assert 'lower config.data.num_workers' in summarise(MemoryError())
  # As TensorStore says it.
  full = (
      'RESOURCE_EXHAUSTED: Failed to write to file 68: No space left on device'
  )
  appended = " [os_error_code='28'] [source locations='file.cc:3\n']"
  assert summarise(ValueError(full + appended)) == f'the disk is full: {full}'


def test_setting_that_a_config_lacks_is_named():
  config = config_dict.ConfigDict({'width': 3}).lock()
  for name in ('widht', 'depth'):
    with pytest.raises(AttributeError) as caught:
      getattr(config, name)
    line = errors.summarise(caught.value)
    assert re.match(f'the config lacks a setting: .{name}', line), line


@pytest.mark.parametrize(
    'text, message',
    [
        ('def get_config(:', ':1: invalid syntax'),
        ('def get_config():\n  return 1 / 0', 'ZeroDivisionError: division'),
        ('def get_config():\n  return int("a")', "invalid literal .* 'a'"),
    ],
)
def test_config_that_cannot_be_read_is_an_error(tmp_path, text, message):
  path = tmp_path / 'broken.py'
  path.write_text(text)
  code = """
from absl import app
from ml_collections import config_flags
from rvm_jax.runtime import errors
import functools
config_flags.DEFINE_config_file('config')
app.run(print, flags_parser=functools.partial(errors.parse_flags, mistake=2))
"""
  done = subprocess.run(
      [sys.executable, '-c', code, f'--config={path}'],
      cwd=ROOT,
      capture_output=True,
      text=True,
      timeout=120,
  )
  *before, last = done.stderr.splitlines()
  assert last.startswith('error: ') and re.search(message, last), last
  is_bug = 'ZeroDivision' in message
  assert done.returncode == (1 if is_bug else 2)
  assert bool(before) == is_bug


def test_flag_that_does_not_exist_is_a_mistake():
  values = flags.FlagValues()
  with pytest.raises(flags.Error) as caught:
    values(['program', '--confg=3'])
  assert errors.summarise(caught.value).startswith('Unknown command line flag')
