"""Tests the encoder whose features are pixels."""

import numpy as np

from rvm_jax.evals.encoders import pixels
from tests.evals.encoders import tiny_rvm


def test_features_are_the_pixels_of_each_patch():
  frames = tiny_rvm.make_frames()
  features = pixels.make(8).encode(frames)
  assert features.cls is None
  assert features.patches.shape == (3, 7, 2, 3, 192)
  assert features.patches.dtype == np.float32
  # To the bit, so that scores do not depend on what XLA makes of a division.
  patch = frames[1, 4, 8:16, 16:24].astype(np.float32) / 255
  np.testing.assert_array_equal(features.patches[1, 4, 1, 2], patch.ravel())
