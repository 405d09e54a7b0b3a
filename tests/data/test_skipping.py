"""Broken records are replaced, counted and logged once."""

import gc
import weakref

import numpy as np
import pytest

from rvm_jax.data import skipping


def build(broken, num_records=10):
  """Returns a reader of records by number, and the list of those it tries."""
  tried = []

  def read(number, rng):
    tried.append(number)
    rng.random()
    if number in broken:
      raise skipping.BrokenRecord(f'file {number // 2}', f'try {len(tried)}')
    return {'number': np.array(number)}

  return skipping.SkipBroken(read, num_records, 'clip'), tried


def test_a_whole_record_is_returned_as_read():
  read, tried = build(broken=())
  found = read(7, np.random.default_rng(0))
  assert tried == [7]
  assert found == {'number': 7, 'skipped': 0}
  assert found['skipped'].dtype == np.int32


def test_a_broken_record_is_replaced_by_the_generators_next_choice():
  read, tried = build(broken={7})
  rng = np.random.default_rng(0)
  found = read(7, np.random.default_rng(0))
  rng.random()  # The first try used the generator too.
  assert tried == [7, rng.integers(10)]
  assert found == {'number': tried[-1], 'skipped': 1}


def test_replacements_are_uniform_over_all_records():
  read, tried = build(broken={7})
  for seed in range(2000):
    read(7, np.random.default_rng(seed))
  counts = np.bincount([number for number in tried if number != 7])
  others = counts[[0, 1, 2, 3, 4, 5, 6, 8, 9]]
  # 99.9 % point of chi-square for 8 degrees of freedom.
  assert ((others - others.mean()) ** 2 / others.mean()).sum() < 26.1


def test_each_broken_name_is_logged_once(warnings):
  read, _ = build(broken={4, 5})  # Two records of one file.
  for number in (4, 5, 4):
    read(number, np.random.default_rng(0))
  (message,) = warnings
  assert message == 'A broken clip is skipped: file 2: try 1'


def test_ten_broken_records_in_a_row_end_the_run():
  read, tried = build(broken=set(range(10)))
  with pytest.raises(RuntimeError, match='10 clips in a row .* file .: try 10'):
    read(0, np.random.default_rng(0))
  assert len(tried) == 10


def test_nothing_of_a_broken_record_waits_for_the_garbage_collector():
  class Frames:
    """What was read before the record was found to be broken."""

  seen = []

  def read(number, rng):
    frames = Frames()
    seen.append(weakref.ref(frames))
    if len(seen) == 1:
      try:
        raise OSError('damage')
      except OSError as error:
        raise skipping.BrokenRecord('file', 'damage') from error
    return {'number': np.array(number)}

  gc.disable()
  try:
    skipping.SkipBroken(read, 10, 'clip')(0, np.random.default_rng(0))
    assert [frames() for frames in seen] == [None, None]
  finally:
    gc.enable()


def test_other_errors_are_not_skipped():
  def read(number, rng):
    raise ValueError('a bug')

  with pytest.raises(ValueError, match='a bug'):
    skipping.SkipBroken(read, 10, 'clip')(0, np.random.default_rng(0))
