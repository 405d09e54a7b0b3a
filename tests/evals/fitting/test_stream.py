"""Tests streams of batches: order, replaced examples and saved positions."""

import json

import numpy as np
import pytest

from rvm_jax.evals.fitting import feature_store
from rvm_jax.evals.fitting import stream as stream_lib
from tests.evals import tiny_examples

MODEL = tiny_examples.encoder()
RECORDS = tiny_examples.records(12, broken={5})


def of_records(is_augmented=False, seed=0, records=RECORDS):
  """Returns a stream of features that are computed for each batch."""
  return stream_lib.of_records(
      MODEL,
      records,
      batch_size=4,
      seed=seed,
      is_augmented=is_augmented,
      num_workers=0,
  )


@pytest.fixture
def of_stored(tmp_path):
  """Returns a function seed -> stream of stored features of RECORDS."""
  stored = feature_store.extract(
      MODEL,
      RECORDS,
      str(tmp_path / 'a.zarr'),
      feature_store.identify(MODEL, RECORDS, {}),
      dtype='float32',
      num_workers=0,
      max_bad_share=0.5,
  )
  return lambda seed=0: stream_lib.of_stored(
      stored, RECORDS, batch_size=4, seed=seed
  )


def take(stream, count, state=None):
  """Reads batches.

  Args:
    stream: the stream.
    count: number of batches to read.
    state: position to start from; None for the beginning.

  Returns:
    The arrays of all batches, concatenated; and the position after them.
  """
  batches = stream.iterator()
  if state:
    batches.set_state(state)
  taken = [next(batches) for _ in range(count)]
  state = batches.get_state()
  batches.close()
  return {
      key: np.concatenate([batch[key] for batch in taken]) for key in taken[0]
  }, state


def assert_equal(found, expected):
  """Asserts that two dicts of arrays are equal."""
  assert found.keys() == expected.keys()
  for key, array in expected.items():
    np.testing.assert_array_equal(found[key], array)


def assert_match_records(rows):
  """Asserts that features and labels are those of the records in `clip`."""
  for number, features, label in zip(
      rows['clip'][:, 0], rows['features'], rows['label']
  ):
    frames = RECORDS[number].read(None)['frames']
    patches = MODEL.encode(frames[None]).patches
    np.testing.assert_array_equal(features, patches.reshape(2, 2, 192))
    assert label == number % 2


def test_stored_stream_is_reshuffled_each_epoch_by_the_seed(of_stored):
  # Eleven batches of four are four epochs of the eleven readable examples.
  rows, _ = take(of_stored(), 11)
  assert_match_records(rows)
  assert not rows['skipped'].any()
  epochs = rows['clip'].reshape(4, 11)
  for epoch in epochs:
    assert sorted(epoch) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
  assert len({tuple(epoch) for epoch in epochs}) == 4
  assert_equal(take(of_stored(), 11)[0], rows)
  assert (take(of_stored(seed=1), 11)[0]['clip'] != rows['clip']).any()


def test_stream_of_records_replaces_broken_records_in_each_epoch():
  # Six batches of four are two epochs of the twelve records.
  rows, _ = take(of_records(), 6)
  assert_match_records(rows)
  numbers = rows['clip'][:, 0]
  assert rows['skipped'].sum() >= 2 and 5 not in numbers
  is_original = rows['skipped'] == 0
  assert sorted(numbers[:12][is_original[:12]]) == [*range(5), *range(6, 12)]
  assert_equal(take(of_records(), 6)[0], rows)


def test_saved_position_includes_broken_records():
  stream = of_records()
  assert not stream.bad
  _, state = take(stream, 3)  # All 12 records.
  assert stream.bad == {5}
  later = of_records()
  batches = later.iterator()
  batches.set_state(json.loads(json.dumps(state)))
  batches.close()
  assert later.bad == {5}


def test_augmentation_differs_in_each_epoch_and_depends_on_the_seed():
  rows, _ = take(of_records(is_augmented=True), 6)
  numbers = rows['clip'][:, 0]
  # A record that is read more than once gives different examples.
  for number in set(numbers):
    readings = rows['features'][numbers == number]
    assert len(np.unique(readings[:, 0, 0, 0])) > 1 or len(readings) == 1
  assert_equal(take(of_records(is_augmented=True), 6)[0], rows)
  other, _ = take(of_records(is_augmented=True, seed=1), 6)
  assert (other['features'] != rows['features']).any()


@pytest.mark.parametrize('kind', ['stored', 'read', 'augmented'])
def test_iterator_continues_from_a_saved_position(kind, of_stored):
  make = {
      'stored': of_stored,
      'read': of_records,
      'augmented': lambda: of_records(is_augmented=True),
  }[kind]
  expected, _ = take(make(), 5)
  _, state = take(make(), 2)
  found, _ = take(make(), 3, state)
  assert_equal(found, {key: x[8:] for key, x in expected.items()})
  first = make().first(3)
  assert_equal(first, {key: expected[key][:3] for key in first})


def test_ten_broken_examples_in_a_row_are_an_error():
  records = tiny_examples.records(30, broken=set(range(30)))
  with pytest.raises(RuntimeError, match='10 examples in a row .*: no clip'):
    take(of_records(records=records), 1)


def test_describe_returns_the_name_of_the_record():
  assert of_records().describe(np.array([7])) == 'clip 7'
