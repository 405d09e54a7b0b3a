"""The painted clips: always the same ones, and judged on all pixels."""

import dataclasses

from jax.experimental import multihost_utils
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.data import pipeline
from rvm_jax.evals import reconstruction
from tests import tiny


@dataclasses.dataclass(frozen=True)
class Plain:
  """Paints everything in the one grey that it has as its parameters."""

  patch: int = 8

  def apply(self, variables, source, target, gaps, visible):
    assert len(source) == len(gaps) == len(visible) == 4
    return jnp.full_like(target, variables['params'])


def open_data(**changes):
  data = dict(tiny.get_config().data, batch_size=8) | changes
  return pipeline.Pipeline(**data, seed=0)


def take_one(data):
  batches = data.iterator()
  batch = next(batches)
  batches.close()
  return batch


def test_clips_are_the_first_of_the_run():
  data = open_data()
  expected = take_one(data)
  clips = reconstruction.first_clips(data)
  assert clips.keys() == {'source', 'target', 'gaps'}
  for key, rows in clips.items():
    np.testing.assert_array_equal(rows, expected[key][:4])


@pytest.mark.parametrize('batch_size', [4, 8, 12])
def test_clips_are_the_same_in_two_processes(monkeypatch, batch_size):
  expected = reconstruction.first_clips(open_data(batch_size=batch_size))
  shards = [
      open_data(batch_size=batch_size, shard_index=i, shard_count=2)
      for i in range(2)
  ]
  batches = [take_one(shard) for shard in shards]

  def gather(rows):
    """Of both processes, what the calling one has as `rows`."""
    return next(
        np.stack([batch[key][: len(rows)] for batch in batches])
        for batch in batches
        for key in batch
        if np.array_equal(batch[key][: len(rows)], rows)
    )

  monkeypatch.setattr(multihost_utils, 'process_allgather', gather)
  for shard in shards:
    clips = reconstruction.first_clips(shard)
    for key, rows in clips.items():
      np.testing.assert_array_equal(rows, expected[key], err_msg=key)


def test_loss_is_of_all_pixels_and_the_picture_is_of_all_clips():
  config = tiny.get_config()
  evaluate = reconstruction.Reconstruction(config, open_data())
  scalars, pictures = evaluate(Plain(), 0.25)
  target = reconstruction.first_clips(open_data())['target'] / 255
  assert scalars == {
      'loss': pytest.approx(np.square(target - 0.25).mean(), rel=1e-5)
  }
  (sheet,) = pictures.values()
  assert sheet.dtype == np.uint8 and sheet.shape[0] >= 4 * 32
  again = reconstruction.Reconstruction(config, open_data())
  np.testing.assert_array_equal(again(Plain(), 0.25)[1]['clips'], sheet)
