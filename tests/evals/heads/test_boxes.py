"""Tests the boxes head: its size, its loss and its decoding."""

import functools

import jax
import numpy as np

from rvm_jax.evals.heads import boxes as boxes_lib

HEAD = boxes_lib.BoxesHead(
    num_params=16, num_heads=2, height=10, width=20, query_width=8, num_bases=4
)
MISSING = (np.nan,) * 4


def test_boxes_head_has_the_published_size():
  head = boxes_lib.BoxesHead(
      num_params=1024,
      num_heads=4,
      height=224,
      width=224,
      query_width=512,
      num_bases=16,
  )
  outputs, variables = jax.eval_shape(
      functools.partial(head.init_with_output, jax.random.key(0)),
      np.zeros((1, 16, 1, 1024), np.float32),
      {'boxes': np.zeros((1, 3, 16, 4), np.float32)},
  )
  assert outputs.shape == (1, 3, 16, 4)
  params = variables['params']
  assert params['queries']['dense_in']['kernel'].shape == (128, 512)
  assert params['readout']['Dense_1']['kernel'].shape == (1024, 64)
  count = sum(x.size for x in jax.tree.leaves(params))
  assert round(count / 1e6, 1) == 12.5


def test_loss_of_hand_worked_boxes():
  box = (0, 0, 10, 5)  # The upper left quarter of the frame.
  true = np.array(
      [
          [[box, box, MISSING], [MISSING, box, box]],
          [[box, (3, 3, 3, 3), box], [MISSING] * 3],
      ],
      np.float32,
  )
  outputs = np.full((2, 2, 3, 4), 7, np.float32)
  outputs[0, 0, 0] = 0, 0, 0.5, 0.5
  outputs[0, 0, 1] = 0, 0, 1, 0.5  # Twice as wide as the true box.
  outputs[1, 0, 0] = 0, 0, 0.5, 0.45  # Smooth L1 is quadratic here.
  outputs[1, 0, 2] = 0.5, 0, 1, 0.5  # To the right of the true box.
  wanted = [
      (0 + (0.45 / 4 + 0.5 * (1 - 0.5))) / 2,
      (0.05**2 / 2 / 0.1 / 4 + 0.5 * 0.1 + (2 * 0.45 / 4 + 0.5)) / 2,
  ]
  found = HEAD.loss(outputs, {'boxes': true})
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_decode_gives_pixels_and_nan_for_objects_that_are_not_queried():
  boxes = np.array([[[(1, 2, 3, 4)] * 2, [MISSING] * 2]], np.float32)
  outputs = np.tile(np.float32((0.1, 0.2, -0.5, 2)), (1, 2, 2, 1))
  found = HEAD.decode(outputs, {'boxes': boxes})['boxes']
  np.testing.assert_allclose(
      found, [[[(1, 2, 3, 4), (2, 2, -10, 20)], [MISSING] * 2]], rtol=1e-6
  )
