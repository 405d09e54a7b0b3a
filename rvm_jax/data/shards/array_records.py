"""Random access to records of array_record files, on disks and in buckets."""

import functools
import threading

from array_record.python import array_record_module

from rvm_jax.data.video import decoder

# Files that a process keeps open. Each takes a file descriptor, of which a
# process may often have 1024, and 8 bytes of memory for each record.
_MAX_OPEN = 256


def read(path: str, number: int) -> bytes:
  """Returns a record of a file, and keeps the file open for later calls.

  Each process opens the file at its first call, so that worker processes share
  nothing. Threads may call this function at the same time.

  Args:
    path: path of the file, or its URL, such as 'gs://bucket/set/file'.
    number: number of the record in the file.

  Raises:
    BrokenVideo: the record cannot be read. That includes damage, because every
      record is stored with a hash.
  """
  try:
    reader, lock = _open(path)
    # Reading by number, `read([number])`, would do the work in a thread of
    # array_record, which took up to eight times as long for records of 2.4 MB.
    with lock:
      reader.seek(number)
      return reader.read()
  # RuntimeError is raised for whatever goes wrong with the file.
  except (IndexError, RuntimeError) as error:
    # A reader that has raised an error cannot be used again.
    _open.cache_clear()
    raise decoder.BrokenVideo(f'{path}, record {number}', str(error)) from error


@functools.lru_cache(maxsize=_MAX_OPEN)
def _open(
    path: str,
) -> tuple[array_record_module.ArrayRecordReader, threading.Lock]:
  """Returns a reader of a file, and the lock to hold while it reads.

  A reader has one position in its file, which two threads must not move at the
  same time.

  Raises:
    RuntimeError: the file cannot be opened.
  """
  # Nothing is read ahead, because records are read in random order.
  reader = array_record_module.ArrayRecordReader(
      path,
      'readahead_buffer_size:0,max_parallelism:0',
      file_reader_buffer_size=32768,
  )
  if not reader.ok():
    # This raises an error that says what is wrong with the file.
    reader.read()
  return reader, threading.Lock()
