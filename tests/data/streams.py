"""Streams of small batches for the tests of pipelines."""

import numpy as np

from rvm_jax.data import pipeline

SETTINGS = dict(
    num_scenes=10,
    num_source=3,
    num_target=2,
    stride=2,
    min_gap=2,
    max_gap=12,
    frame_rate=None,
    height=32,
    width=48,
    crop_area=(0.3, 1.0),
    crop_aspect=(0.75, 1.25),
    flip=0.5,
    max_bad_share=0.0,
    held_out_share=0.0,
    num_workers=0,
    prefetch=1,
    seed=5,
)


def build(folders, **changes):
  """Builds a pipeline of two sources with SETTINGS and some changes."""
  settings = dict(SETTINGS, sources=folders, weights=(0.7, 0.3), batch_size=4)
  return pipeline.Pipeline(**(settings | changes))


def take(batches, count):
  """Returns the next batches of an iterator, and closes it."""
  try:
    return [next(batches) for _ in range(count)]
  finally:
    batches.close()


def join(batches):
  """Concatenates batches into one dict of arrays over all samples."""
  return {
      key: np.concatenate([batch[key] for batch in batches])
      for key in batches[0]
  }


def assert_same(a, b):
  assert a.keys() == b.keys()
  for key in a:
    assert a[key].dtype == b[key].dtype, key
    assert np.array_equal(a[key], b[key]), key
