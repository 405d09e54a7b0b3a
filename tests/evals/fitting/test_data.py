"""Tests preparing features: kept or not, their identity, skipped examples."""

import os

import numpy as np
import pytest

from rvm_jax.evals.fitting import data as data_lib
from tests.evals import tiny_examples

MODEL = tiny_examples.encoder()
TRAIN = tiny_examples.records(12, broken={5})
TEST = [tiny_examples.Record(100 + i, is_broken=i == 2) for i in range(4)]
EXAMPLES = {'train': {'num_clips': 1}, 'test': {'num_clips': 3}}


def prepare(workdir, is_kept, names=('label',), **changes):
  features = dict(
      is_kept=is_kept, dtype='float16', num_workers=0, max_bad_share=0.5
  )
  training = dict(seed=0, batch_size=4, is_augmented=False) | changes
  return data_lib.prepare(
      MODEL,
      TRAIN,
      TEST,
      str(workdir),
      examples=EXAMPLES,
      features=features,
      training=training,
      names=names,
  )


def take(data, count):
  """Returns the first `count` batches of training examples."""
  batches = data.stream.iterator()
  taken = [next(batches) for _ in range(count)]
  batches.close()
  return taken


@pytest.mark.parametrize('is_kept', [True, False])
def test_test_examples_are_the_same_whether_features_are_kept_or_not(
    is_kept, tmp_path
):
  data = prepare(tmp_path, is_kept)
  (batch,) = data.test
  np.testing.assert_array_equal(batch['number'], [0, 1, 3])
  np.testing.assert_array_equal(batch['label'], [0, 1, 1])
  for number, features in zip(batch['number'], batch['features']):
    frames = TEST[number].read(None)['frames']
    expected = MODEL.encode(frames[None]).patches.reshape(2, 2, 192)
    np.testing.assert_allclose(features, expected, atol=1e-3)


def test_kept_features_are_on_disk_and_come_with_the_named_arrays(tmp_path):
  data = prepare(tmp_path, is_kept=True, names=())
  assert sorted(os.listdir(tmp_path / 'features')) == [
      'test.zarr',
      'train.zarr',
  ]
  (batch,) = take(data, 1)
  assert batch['features'].dtype == np.float16 and 'label' not in batch
  skipped = {'training': ['clip 5'], 'test': ['clip 102']}
  assert data.list_skipped() == skipped
  assert data.identity['skipped'] == ['clip 5']
  assert data.identity['dtype'] == 'float16'
  assert data.identity['examples'] == {'num_clips': 1}


def test_features_that_are_not_kept_leave_no_files(tmp_path):
  data = prepare(tmp_path, is_kept=False)
  assert data.list_skipped() == {'training': [], 'test': []}
  take(data, 3)  # All 12 training examples.
  assert data.list_skipped() == {'training': ['clip 5'], 'test': []}
  list(data.test)
  assert data.list_skipped() == {'training': ['clip 5'], 'test': ['clip 102']}
  assert not list(tmp_path.iterdir())


def test_identity_of_features_that_are_not_kept_includes_augmentation(
    tmp_path,
):
  first, second = (
      prepare(tmp_path, is_kept=False, is_augmented=is_augmented).identity
      for is_augmented in (False, True)
  )
  assert not first['is_augmented'] and second['is_augmented']
  assert first | {'is_augmented': True} == second
