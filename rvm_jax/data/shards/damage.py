"""Looks for damage in packed sets: every byte of every record is read."""

from collections.abc import Iterator
from concurrent import futures
import functools
import hashlib
import os

from etils import epath

from rvm_jax.data.shards import catalog as catalog_lib
from rvm_jax.data.shards import source
from rvm_jax.data.video import decoder

# Number of bytes of a file that are read and hashed at a time.
_PART = 2**22


def find(catalog: catalog_lib.Catalog) -> Iterator[tuple[int | None, str]]:
  """Compares the records of a set with its CSV files and with `rvm_clips.json`.

  Args:
    catalog: what the set holds, as `catalog.read` returns it.

  Yields:
    (clip, sentence) for each damaged record, with the number of its clip in the
    set; and (None, sentence) for each shard whose file of records has another
    hash than when it was packed. The sentence says what is damaged.
  """
  check = functools.partial(_check_shard, catalog)
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for found in pool.map(check, range(len(catalog.shards))):
      yield from found


def _check_shard(
    catalog: catalog_lib.Catalog, shard: int
) -> list[tuple[int | None, str]]:
  """Returns what `find` yields for one shard."""
  path = catalog.shards[shard].records
  first = int(catalog.stops[shard - 1]) if shard else 0
  found: list[tuple[int | None, str]] = []
  for clip in range(first, int(catalog.stops[shard])):
    try:
      # No frame is decoded: the record is only compared with its hash, its
      # CRC-32 and its line in the CSV file.
      source.read(catalog, clip, [], verify=True)
    except decoder.BrokenVideo as error:
      found.append((clip, str(error)))
  hashing = hashlib.sha256()
  with epath.Path(path).open('rb') as file:
    while part := file.read(_PART):
      hashing.update(part)
  expected = catalog.hashes.get(os.path.basename(path))
  if (digest := hashing.hexdigest()) != expected:
    reason = f'expected the SHA-256 {expected}, got {digest}'
    found.append((None, f'{path}: {reason}'))
  return found
