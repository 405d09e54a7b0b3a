"""Tests Fourier features by their formula, and units of coordinates."""

import numpy as np

from rvm_jax.evals.heads import queries


def test_fourier_features_agree_with_their_formula():
  points = np.random.default_rng(0).uniform(size=(2, 3, 2)).astype(np.float32)
  found = queries.embed_fourier(points, 16)
  assert found.shape == (2, 3, 64)
  for dimension in range(2):
    for octave in range(16):
      angle = points[..., dimension] * np.pi * 2.0**octave
      column = 16 * dimension + octave
      # Angles double with each octave, and so do their float32 errors.
      tolerance = 1e-6 * 2**octave
      np.testing.assert_allclose(
          found[..., column], np.sin(angle), atol=tolerance
      )
      np.testing.assert_allclose(
          found[..., 32 + column], np.cos(angle), atol=tolerance
      )


def test_normalise_divides_x_by_the_width_and_y_by_the_height():
  box = np.array([[[10, 10, 40, 20]]], np.float32)
  normalised = queries.normalise(box, height=20, width=40)
  np.testing.assert_allclose(normalised, [[[0.25, 0.5, 1, 1]]])
  np.testing.assert_allclose(
      queries.to_pixels(normalised, height=20, width=40), box
  )
  np.testing.assert_allclose(
      queries.normalise(box[..., :2], height=20, width=40), [[[0.25, 0.5]]]
  )
