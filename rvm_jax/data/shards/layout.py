"""The files of a shard: names, locks, and whether they are complete.

A shard has three files: the records, the list of their clips, and the list of
what was left out. They are written under names that end in `.part`, and are
renamed when they are complete. The summary, a fourth file with their sizes and
hashes, is written last. A shard that has no summary, or whose files differ from
its summary, is packed again.
"""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import hashlib
import json
import os
from typing import Any, NamedTuple

# Name of the data set, in names of files and for tensorflow-datasets.
DATASET = 'rvm_clips'
# Name of the file that `lock` locks, one byte of it for each shard.
_LOCKS = '.lock'


class Paths(NamedTuple):
  """The number of a shard, and the paths of its files.

  Attributes:
    number: number of the shard.
    records: path of the records.
    clips: path of the list of its clips.
    left_out: path of the list of what was left out, with the reasons.
    summary: path of the summary, which is written last.
  """

  number: int
  records: str
  clips: str
  left_out: str
  summary: str

  def contents(self) -> tuple[str, str, str]:
    """Returns the paths of the files that the summary describes."""
    return self.records, self.clips, self.left_out


def list_paths(folder: str, number: int, num_shards: int) -> Paths:
  """Returns the paths of a shard's files.

  Args:
    folder: folder of the packed set.
    number: number of the shard.
    num_shards: number of shards of the set.
  """
  place = f'{number:05d}-of-{num_shards:05d}'
  return Paths(
      number,
      os.path.join(folder, f'{DATASET}-train.array_record-{place}'),
      os.path.join(folder, f'clips-{place}.csv'),
      os.path.join(folder, f'left_out-{place}.csv'),
      os.path.join(folder, f'shard-{place}.json'),
  )


def read_summary(paths: Paths, *, is_verified: bool) -> dict[str, Any] | None:
  """Returns the summary of a shard; None unless the shard is complete.

  Args:
    paths: paths of the shard's files.
    is_verified: whether to read the files and compare their hashes with the
      summary. Otherwise only their sizes are compared.
  """
  try:
    with open(paths.summary) as file:
      summary = json.load(file)
    for path in paths.contents():
      known = summary['files'][os.path.basename(path)]
      if os.path.getsize(path) != known['size']:
        return None
      if is_verified and hash_file(path) != known['sha256']:
        return None
  # After a power failure the summary may be empty or cut off.
  except (FileNotFoundError, ValueError, KeyError):
    return None
  return summary


@contextlib.contextmanager
def lock(paths: Paths) -> Iterator[None]:
  """Keeps other processes from writing a shard.

  What is locked is one byte of a file in the folder of the set. The file is
  never removed. On a disk that has no locks, this does nothing.

  Args:
    paths: number of the shard and paths of its files.

  Raises:
    BlockingIOError: another process is writing the shard.
    OSError: the file cannot be opened or locked for another reason.
  """
  path = os.path.join(os.path.dirname(paths.records), _LOCKS)
  with open(path, 'ab') as file:
    try:
      fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, paths.number)
    except OSError as error:
      if error.errno in (errno.EAGAIN, errno.EACCES):
        raise BlockingIOError(
            error.errno,
            'another process is writing it at this moment',
            paths.records,
        ) from error
      # Some network disks have no locks. There the shard is packed without one.
      if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
        raise
    yield


def hash_file(path: str) -> str:
  """Returns the SHA-256 hash of a file in hexadecimal digits."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
