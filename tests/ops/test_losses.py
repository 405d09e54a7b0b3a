import numpy as np
import pytest

from rvm_jax.ops import losses


def test_pixel_mse_is_the_mean_over_all_but_the_batch():
  rng = np.random.default_rng(0)
  a, b = rng.random((2, 3, 2, 16, 16, 3))
  expected = [((a[i] - b[i]) ** 2).mean() for i in range(3)]
  np.testing.assert_allclose(losses.pixel_mse(a, b), expected, rtol=1e-6)


def test_pixel_mse_refuses_to_broadcast():
  with pytest.raises(ValueError, match='differ in shape'):
    losses.pixel_mse(np.zeros((1, 2, 4, 4, 3)), np.zeros((1, 1, 4, 4, 3)))
