"""The decoder's queries against numpy, and the colour of untrained pixels."""

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.models import decoder
from rvm_jax.ops import positions


def test_deltas_are_one_hot_and_nan_out_of_range():
  found = decoder.encode_deltas(jnp.array([[0, 63, -1, 64]]))
  assert found.shape == (1, 4, 64)
  np.testing.assert_array_equal(found[0, :2], np.eye(64)[[0, 63]])
  assert np.isnan(found[0, 2:]).all()


def test_queries_are_visible_patches_and_masks_with_time_and_place():
  rng = np.random.default_rng(0)
  encoded = rng.normal(size=(2, 3, 1 + 2, 8)).astype(np.float32)
  mask_token = rng.normal(size=(1, 8)).astype(np.float32)
  times = rng.normal(size=(2, 3, 8)).astype(np.float32)
  visible = np.array([[[4, 0], [1, 2], [3, 5]]] * 2)
  found = decoder.make_queries(encoded, mask_token, times, visible, 6)
  assert found.shape == (2, 3, 1 + 6, 8)
  where = positions.sinusoid(6, 8)
  for b, k in np.ndindex(2, 3):
    np.testing.assert_array_equal(found[b, k, 0], encoded[b, k, 0])
    patches = np.repeat(mask_token, 6, 0)
    patches[visible[b, k]] = encoded[b, k, 1:]
    np.testing.assert_allclose(
        found[b, k, 1:], patches + times[b, k] + where, atol=1e-6
    )


def test_pixels_begin_grey():
  detokenizer = decoder.Detokenizer(patch=2, dtype='float32')
  pixels, _ = detokenizer.init_with_output(
      jax.random.key(0), jnp.zeros((1, 5, 8))
  )
  np.testing.assert_array_equal(pixels, np.full((1, 5, 12), 0.5))
