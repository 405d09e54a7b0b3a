"""A lock on the workdir, so that two runs do not overwrite each other's files.

The lock is the file `run.lock`, which says who owns it. It is created as a hard
link, or opened with mode 'x' where there are no hard links; both are atomic on
local file systems and on NFS.

The lock of a dead owner is taken over. If the owner ran on this machine, it is
dead if its process no longer exists. If it ran on another machine, the file is
watched for 30 s: a living owner changes it every 10 s.
"""

from collections.abc import Iterator
import contextlib
import errno
import json
import os
import socket
import threading
import time
from typing import Any
import uuid

from absl import logging

from rvm_jax.runtime import ending
from rvm_jax.runtime import exit_codes

NAME = 'run.lock'
# The owner changes the file at this interval.
BEAT_SECONDS = 10.0
# An owner on another machine counts as dead if the file does not change for
# this long.
WATCH_SECONDS = 30.0
_POLL_SECONDS = 1.0
# If several processes take over a lock at once, the last one to write owns it.
# Each reads the file again after this time, to learn whether it is the one.
_SETTLE_SECONDS = 0.3
# Errors of file systems without hard links.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class Held(OSError):
  """Another run has the workdir."""


@contextlib.contextmanager
def held(workdir: str | os.PathLike[str]) -> Iterator[None]:
  """Holds the lock of a workdir.

  If another process takes the lock over, because this one was suspended and
  seemed dead, this process ends itself at once with `exit_codes.RESTART`.

  A workdir in a bucket, which is given as a URL, is not locked; a warning says
  so.

  Args:
    workdir: folder of the run; it is made if it does not exist.

  Raises:
    Held: a living process has the lock; the message names it.
    OSError: the folder cannot be written to.
  """
  if '://' in os.fspath(workdir):
    logging.warning(
        '%s is no folder of a file system and cannot be locked: take care that'
        ' no two runs use it',
        workdir,
    )
    yield
    return
  os.makedirs(workdir, exist_ok=True)
  path = os.path.join(workdir, NAME)
  mine = _describe_this_process()
  _acquire(path, mine)
  released = threading.Event()
  thread = threading.Thread(
      target=_keep, args=(path, mine, released), name='lock', daemon=True
  )
  thread.start()
  try:
    yield
  finally:
    released.set()
    thread.join()
    _remove(path, mine)


def _describe_this_process() -> dict[str, Any]:
  """Returns what the lock's file says of its owner, as values for JSON."""
  pid = os.getpid()
  return {
      'host': socket.gethostname(),
      'boot': _read_text('/proc/sys/kernel/random/boot_id'),
      'namespace': _read_link('/proc/self/ns/pid'),
      'pid': pid,
      'started': _start_time(pid),
      'since': time.strftime('%Y-%m-%d %H:%M:%S'),
      # Distinguishes this lock from all others.
      'token': uuid.uuid4().hex,
      # Has a fixed number of digits, so that the file keeps its length when
      # `_keep` writes it anew in place.
      'beats': f'{0:09d}',
  }


def _acquire(path: str, mine: dict[str, Any]):
  """Creates the lock, or takes over that of a dead owner; may raise Held."""
  while not _create(path, mine):
    owner = _read(path)
    if owner is None:
      continue  # It was released just now.
    if _is_alive(path, owner):
      raise Held(
          f'{os.path.dirname(path)} is in use by a run: process'
          f' {owner["pid"]} on {owner["host"]}, since {owner["since"]}. Stop it'
          ' or choose another folder'
      )
    # Another process may have taken it over while this one looked.
    again = _read(path)
    if again is None or again['token'] != owner['token']:
      continue
    _replace(path, mine)
    time.sleep(_SETTLE_SECONDS)
    again = _read(path)
    if again is not None and again['token'] == mine['token']:
      logging.info(
          'Took over the lock of a run that has died: process %s on %s',
          owner['pid'],
          owner['host'],
      )
      return


def _create(path: str, mine: dict[str, Any]) -> bool:
  """Creates the lock's file; returns False if it exists already."""
  part = _write_part(path, mine)
  try:
    os.link(part, path)
  except FileExistsError:
    return False
  except OSError as error:
    if error.errno not in _NO_LINKS:
      raise
    try:
      with open(path, 'x'):
        os.replace(part, path)
    except FileExistsError:
      return False
    return True
  finally:
    with contextlib.suppress(FileNotFoundError):
      os.remove(part)
  return True


def _replace(path: str, mine: dict[str, Any]):
  os.replace(_write_part(path, mine), path)


def _write_part(path: str, mine: dict[str, Any]) -> str:
  """Writes the contents to a file beside the lock; returns its path."""
  part = f'{path}.{mine["token"]}'
  with open(part, 'w') as file:
    json.dump(mine, file)
  return part


def _read(path: str) -> dict[str, Any] | None:
  """Returns the contents of the file; None if there is no file."""
  while True:
    try:
      with open(path) as file:
        return json.load(file)
    except FileNotFoundError:
      return None
    except json.JSONDecodeError:
      # The file is empty or incomplete. Without hard links it is empty while a
      # process creates it, and stays so if that process dies. Once the file is
      # old, it is therefore removed.
      with contextlib.suppress(FileNotFoundError):
        if time.time() - os.stat(path).st_mtime > WATCH_SECONDS:
          os.remove(path)
      time.sleep(_POLL_SECONDS)


def _is_alive(path: str, owner: dict[str, Any]) -> bool:
  """Returns whether the owner of the lock lives; may take `WATCH_SECONDS`."""
  # A process id means the same process only on the same host, in the same boot,
  # and in the same PID namespace, such as that of one container.
  here = _describe_this_process()
  if all(owner[key] == here[key] for key in ('host', 'boot', 'namespace')):
    return _exists(owner['pid']) and owner['started'] == _start_time(
        owner['pid']
    )
  logging.info(
      'The workdir is locked by process %s on %s: watching for %d s whether it'
      ' lives',
      owner['pid'],
      owner['host'],
      WATCH_SECONDS,
  )
  end = time.monotonic() + WATCH_SECONDS
  while time.monotonic() < end:
    time.sleep(_POLL_SECONDS)
    now = _read(path)
    if now is None:
      return False
    if now != owner:
      return True
  return False


def _keep(path: str, mine: dict[str, Any], released: threading.Event):
  """Changes the file at intervals, and ends this process if it has lost it."""
  beats = 0
  while not released.wait(BEAT_SECONDS):
    beats += 1
    try:
      # The check and the change concern the same file, because it stays open:
      # another process may meanwhile put its own lock at this path.
      with open(path, 'r+') as file:
        token = json.load(file)['token']
        if token == mine['token']:
          file.seek(0)
          json.dump(mine | {'beats': f'{beats:09d}'}, file)
    except FileNotFoundError:
      token = mine['token'] if _create(path, mine) else None
    except (OSError, ValueError) as error:
      logging.warning('Cannot refresh the lock of the workdir: %s', error)
      continue
    if token != mine['token']:
      ending.end_now(
          exit_codes.RESTART,
          f'error: another run took over {os.path.dirname(path)}, because this'
          ' one seemed dead',
      )


def _remove(path: str, mine: dict[str, Any]):
  """Removes the file unless another process has taken it over."""
  now = _read(path)
  if now is not None and now['token'] == mine['token']:
    os.remove(path)


def _exists(pid: int) -> bool:
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass  # It exists, and belongs to another user.
  return True


def _start_time(pid: int) -> str:
  """Returns when a process started, in ticks since boot.

  The text is empty where the time is not known, and for a zombie, which is a
  process that has ended but whose parent has not waited for it.
  """
  # The second field is the name, in parentheses, and may contain spaces.
  stat = _read_text(f'/proc/{pid}/stat').rpartition(')')[2].split()
  return stat[19] if stat and stat[0] != 'Z' else ''


def _read_text(path: str) -> str:
  """Returns the text of a file such as those in /proc; '' if it is absent."""
  try:
    with open(path) as file:
      return file.read().strip()
  except OSError:
    return ''


def _read_link(path: str) -> str:
  try:
    return os.readlink(path)
  except OSError:
    return ''
