"""Records are read by number, by threads, from many files and damaged files."""

from concurrent import futures

from array_record.python import array_record_module
import pytest

from rvm_jax.data.shards import array_records
from rvm_jax.data.video import decoder

RECORDS = [bytes([number]) * (1000 + number) for number in range(20)]


@pytest.fixture
def path(tmp_path):
  path = str(tmp_path / 'records')
  writer = array_record_module.ArrayRecordWriter(
      path, 'group_size:1,uncompressed'
  )
  for record in RECORDS:
    writer.write(record)
  writer.close()
  return path


def test_threads_read_the_records_that_they_ask_for(path):
  numbers = [7 * i % 20 for i in range(400)]
  with futures.ThreadPoolExecutor(4) as pool:
    found = pool.map(lambda number: array_records.read(path, number), numbers)
    assert list(found) == [RECORDS[number] for number in numbers]


def test_number_of_open_files_is_bounded(path, tmp_path, monkeypatch):
  array_records._open.cache_clear()
  for number in range(300):
    copy = tmp_path / f'{number}'
    copy.hardlink_to(path)
    assert array_records.read(str(copy), 3) == RECORDS[3]
  assert array_records._open.cache_info().currsize == 256
  array_records._open.cache_clear()


def test_damaged_record_is_named_and_the_others_are_read(path):
  with open(path, 'r+b') as file:
    content = file.read()
    file.seek(content.index(RECORDS[5]) + 500)
    file.write(b'!')
  array_records._open.cache_clear()
  for _ in range(2):
    with pytest.raises(decoder.BrokenVideo, match='records, record 5: .*hash'):
      array_records.read(path, 5)
    assert array_records.read(path, 6) == RECORDS[6]
  with pytest.raises(decoder.BrokenVideo, match='record 20: '):
    array_records.read(path, 20)


@pytest.mark.parametrize('size', [None, 0, 40_000])
def test_files_that_are_missing_or_cut_off_are_named(path, size, tmp_path):
  bad = tmp_path / 'bad'
  if size is not None:
    with open(path, 'rb') as file:
      bad.write_bytes(file.read(size))
  with pytest.raises(decoder.BrokenVideo, match=str(bad)):
    array_records.read(str(bad), 0)
