"""Tests converting masks to soft labels and back."""

import pathlib

import numpy as np

from rvm_jax.evals.propagation import masks as masks_lib

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'
SIZE = (240, 320)


def test_encode_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  mask, label_map = golden['masks'][0], golden['label_map']
  np.testing.assert_array_equal(np.unique(mask), label_map)
  soft = masks_lib.encode(mask, label_map, SIZE, (15, 20))
  np.testing.assert_array_equal(soft, golden['heatmap'])


def test_decode_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  masks = masks_lib.decode(
      golden['propagated'], golden['label_map'], SIZE, (230, 310)
  )
  np.testing.assert_array_equal(masks, golden['segmentation'])
  assert masks.dtype == golden['label_map'].dtype


def test_decode_returns_the_encoded_mask_where_objects_fill_patches():
  coarse = np.random.default_rng(0).choice([0, 3, 7], (4, 6))
  mask = np.kron(coarse, np.ones((8, 8), int))
  soft = masks_lib.encode(mask, [0, 3, 7, 9], mask.shape, (4, 6))
  np.testing.assert_allclose(soft.sum(-1), 1)
  centres = masks_lib.decode(soft[None], [0, 3, 7, 9], (4, 6), (4, 6))
  np.testing.assert_array_equal(centres[0], coarse)


def test_choose_objects_leaves_out_those_that_are_too_small():
  mask = np.zeros((10, 10), np.uint8)
  mask[0, :4], mask[1, :5], mask[2:5] = 9, 7, 2
  np.testing.assert_array_equal(masks_lib.choose_objects(mask, 0.05), [2, 7])
  np.testing.assert_array_equal(masks_lib.choose_objects(mask, 0.0), [2, 7, 9])
  assert not masks_lib.choose_objects(np.zeros_like(mask), 0.0).size


def test_renumber_makes_objects_that_are_not_chosen_background():
  mask = np.uint8([[9, 7, 2], [0, 2, 7]])
  found = masks_lib.renumber(mask, np.array([2, 7]))
  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found, [[0, 2, 1], [0, 1, 2]])


def test_resize_is_linear_between_centres_and_constant_beyond_them():
  ramp = np.float32([0, 1, 2, 3]).reshape(1, 4, 1)
  wide = masks_lib.resize(ramp, (2, 8))[1, :, 0]
  np.testing.assert_allclose(
      wide, np.clip(np.arange(8) / 2 - 0.25, 0, 3), atol=1e-6
  )
  # Without antialiasing, a new pixel depends only on the old pixels on either
  # side of its centre.
  spikes = np.float32([0, 0, 8, 0, 0, 0, 0, 8, 0, 0, 0, 0]).reshape(1, 12, 1)
  np.testing.assert_allclose(
      masks_lib.resize(spikes, (1, 4))[0, :, 0], [0, 0, 8, 0]
  )
  assert masks_lib.resize(np.ones((1, 1, 2), np.float32), (3, 5)).min() == 1
