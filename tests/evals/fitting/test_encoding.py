"""Tests encoding examples in batches: order, padding and errors."""

import dataclasses

import numpy as np
import pytest

from rvm_jax.evals.fitting import encoding
from tests.evals import tiny_examples

MODEL = tiny_examples.encoder()


def encode(records, start=0, bad=None, max_bad_share=0.5):
  return encoding.encode(
      MODEL,
      records,
      start,
      set() if bad is None else bad,
      num_workers=0,
      max_bad_share=max_bad_share,
  )


def test_batches_hold_the_readable_records_from_the_start_on():
  records, bad = tiny_examples.records(20, broken={4, 19}), set()
  (batch,) = encode(records, start=3, bad=bad)
  assert batch['number'].tolist() == [3, *range(5, 19)]
  assert bad == {4, 19}


def test_batch_that_is_not_full_is_padded_and_cut_again():
  frames = tiny_examples.Record(0).read(None)['frames'][None]
  sizes = []

  def function(filled):
    sizes.append(len(filled))
    return MODEL.function(filled)

  model = dataclasses.replace(MODEL, function=function)
  found = encoding.encode_frames(model, frames, 5)
  patches = MODEL.encode(frames).patches
  np.testing.assert_array_equal(found, patches.reshape(1, 2, 2, 192))
  assert sizes == [5]


def test_more_broken_records_than_max_bad_share_are_an_error():
  records = tiny_examples.records(10, broken={1, 2})
  with pytest.raises(RuntimeError, match='2 of 10 .*=0.1: clip 1, clip 2; the'):
    list(encode(records, max_bad_share=0.1))


def test_examples_of_different_shapes_are_rejected():

  @dataclasses.dataclass(frozen=True)
  class Wide(tiny_examples.Record):

    def read(self, rng):
      example = super().read(rng)
      return example | {'frames': np.tile(example['frames'], (1, 1, 2, 1))}

  records = [*tiny_examples.records(20), Wide(20)]
  with pytest.raises(ValueError, match=r'clip 0 has .*16, 3\].* clip 20 has'):
    list(encode(records))
