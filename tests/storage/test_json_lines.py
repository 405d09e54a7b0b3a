"""Records survive kills in the middle of a line, and full disks."""

import errno
import os

import pytest

from rvm_jax.storage import json_lines


def append(path, *records, keep=None):
  """Opens a file, appends records, and returns the appender."""
  appender = json_lines.Appender(path, keep)
  for record in records:
    appender.append(record)
  return appender


def test_records_are_read_as_they_were_appended(tmp_path):
  path = tmp_path / 'a.jsonl'
  records = [{'a': 1, 'b': [2.5, None]}, {'a': 'ä\n'}]
  append(path, records[0])
  append(path, records[1])
  assert json_lines.read(path) == records
  assert path.read_bytes().count(b'\n') == 2


@pytest.mark.parametrize('torn', ['{"a": 2, "b', '{"a": 2}', '\0\0\0'])
def test_torn_last_line_is_ignored_and_replaced(tmp_path, torn):
  path = tmp_path / 'a.jsonl'
  append(path, {'a': 1})
  with path.open('a') as f:
    f.write(torn)
  assert json_lines.read(path) == [{'a': 1}]
  append(path, {'a': 3})
  assert path.read_text() == '{"a": 1}\n{"a": 3}\n'


def test_damaged_line_is_left_out_and_the_others_stay(tmp_path, caplog):
  path = tmp_path / 'a.jsonl'
  path.write_text('{"a": 1}\n{"a"\0 2}\n{"a": 3}\n')
  append(path, {'a': 4}, keep=lambda record: record['a'] < 4)
  assert [record['a'] for record in json_lines.read(path)] == [1, 3, 4]
  assert f'{path}: line 2 is not JSON' in caplog.text


def test_records_are_removed_from_the_first_that_does_not_stay(tmp_path):
  path = tmp_path / 'a.jsonl'
  append(path, *({'step': step} for step in (0, 1, 2, 3, 1)))
  append(path, {'step': 9}, keep=lambda record: record['step'] < 2)
  assert [record['step'] for record in json_lines.read(path)] == [0, 1, 9]
  append(path, keep=lambda record: False)
  assert path.read_bytes() == b''


def test_full_disk_costs_lines_and_one_warning(tmp_path, monkeypatch, caplog):
  path = tmp_path / 'a.jsonl'
  appender = append(path, {'a': 1})
  really_open = open

  class FullDisk:
    """A file that takes three more bytes and then no more."""

    def __init__(self, file):
      self.file = file

    def __enter__(self):
      return self

    def __exit__(self, *error):
      self.file.close()

    def __getattr__(self, name):
      return getattr(self.file, name)

    def write(self, data):
      if len(data) == 9:
        return self.file.write(data[:3])
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  with monkeypatch.context() as patch:
    patch.setattr(
        'builtins.open', lambda *args, **kw: FullDisk(really_open(*args, **kw))
    )
    appender.append({'a': 2})
    appender.append({'a': 3})
    append(tmp_path / 'b.jsonl', {'a': 2})
  assert not (tmp_path / 'b.jsonl').exists()
  appender.append({'a': 4})
  assert path.read_text() == '{"a": 1}\n{"a": 4}\n'
  warning = f'{path} cannot be written: No space left on device'
  assert caplog.text.count(warning) == 1
  assert caplog.text.count(f'{path} is written again') == 1
