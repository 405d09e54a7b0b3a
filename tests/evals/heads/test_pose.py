"""The loss of the pose head, by hand."""

import numpy as np

from rvm_jax.evals.heads import pose


def test_loss_is_the_mean_square_of_twelve_numbers():
  head = pose.PoseHead(num_params=8, num_heads=2)
  outputs = np.zeros((2, 12), np.float32)
  true = np.zeros((2, 12), np.float32)
  true[1, :2] = 3, -4
  np.testing.assert_allclose(
      head.loss(outputs, {'pose': true}), [0, 25 / 12], rtol=1e-6
  )
