"""Tests reading examples: their order, processes and broken records."""

import functools
import pickle

import numpy as np
import pytest

from rvm_jax.data import skipping
from rvm_jax.evals.fitting import examples
from tests.evals import tiny_examples

RECORDS = tiny_examples.records(9, broken={2, 8})


@pytest.mark.parametrize('num_workers', [0, 2])
def test_read_all_yields_examples_in_order_and_none_for_broken_records(
    num_workers,
):
  rows = list(examples.read_all(RECORDS, 1, num_workers))
  assert [number for number, _ in rows] == list(range(1, 9))
  for number, example in rows:
    if number in (2, 8):
      assert example is None
    else:
      expected = RECORDS[number].read(None)
      np.testing.assert_array_equal(example['frames'], expected['frames'])
      assert example['label'] == number % 2


def test_read_all_yields_nothing_if_no_record_is_left():
  assert not list(examples.read_all(RECORDS, len(RECORDS), 0))


def read(number, is_augmented=False, seed=0):
  """Returns what `read_for_batch` returns with a generator of this seed."""
  rng = np.random.default_rng(seed)
  return examples.read_for_batch(RECORDS, is_augmented, number, rng)


def test_read_for_batch_adds_the_number_of_the_record():
  example = read(3)
  assert example.keys() == {'frames', 'label', 'clip'}
  np.testing.assert_array_equal(example['clip'], [3])
  assert all(isinstance(x, np.ndarray) for x in example.values())


def test_only_augmented_examples_depend_on_the_random_generator():
  frames = [read(3, seed=seed)['frames'] for seed in (0, 1)]
  np.testing.assert_array_equal(*frames)
  first, again, other = (
      read(3, is_augmented=True, seed=seed)['frames'] for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).any() and (first != frames[0]).any()


def test_read_for_batch_names_the_broken_record_in_its_error():
  with pytest.raises(skipping.BrokenRecord, match='clip 2: no clip'):
    read(2)


def test_reader_that_replaces_broken_examples_can_be_pickled():
  reader = functools.partial(examples.read_for_batch, RECORDS, False)
  reader = skipping.SkipBroken(reader, len(RECORDS), 'example')
  reader = pickle.loads(pickle.dumps(reader))
  example = reader(2, np.random.default_rng(0))
  assert example['skipped'] >= 1 and example['clip'] not in (2, 8)
