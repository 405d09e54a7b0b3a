"""Fourier features by their formula, and units of coordinates."""

import numpy as np

from rvm_jax.evals.heads import queries


def test_fourier_features_by_their_formula():
  places = np.random.default_rng(0).uniform(size=(2, 3, 2)).astype(np.float32)
  found = queries.embed_fourier(places, 16)
  assert found.shape == (2, 3, 64)
  for dimension in range(2):
    for octave in range(16):
      angle = places[..., dimension] * np.pi * 2.0**octave
      column = 16 * dimension + octave
      # At the last octave float32 angles are good to 1e-2.
      tolerance = 1e-6 * 2**octave
      np.testing.assert_allclose(
          found[..., column], np.sin(angle), atol=tolerance
      )
      np.testing.assert_allclose(
          found[..., 32 + column], np.cos(angle), atol=tolerance
      )


def test_x_goes_with_the_width():
  box = np.array([[[10, 10, 40, 20]]], np.float32)
  shares = queries.to_shares(box, height=20, width=40)
  np.testing.assert_allclose(shares, [[[0.25, 0.5, 1, 1]]])
  np.testing.assert_allclose(
      queries.to_pixels(shares, height=20, width=40), box
  )
  np.testing.assert_allclose(
      queries.to_shares(box[..., :2], height=20, width=40), [[[0.25, 0.5]]]
  )
