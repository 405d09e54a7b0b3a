"""Tests the points head: its size, its queries, its loss and its decoding."""

import functools

import jax
import numpy as np
import pytest

from rvm_jax.evals.heads import points

HEAD = points.PointsHead(
    num_params=16,
    num_heads=2,
    height=64,
    width=128,
    query_width=8,
    num_bases=4,
    frames_per_query=2,
)


def test_points_head_has_the_published_size():
  head = points.PointsHead(
      num_params=1024,
      num_heads=8,
      height=224,
      width=224,
      query_width=512,
      num_bases=16,
      frames_per_query=2,
  )
  batch = {
      'tracks': np.zeros((1, 3, 16, 2), np.float32),
      'is_valid': np.ones((1, 3), bool),
  }
  outputs, variables = jax.eval_shape(
      functools.partial(head.init_with_output, jax.random.key(0)),
      np.zeros((1, 16, 1, 1024), np.float32),
      batch,
  )
  assert outputs.shape == (1, 3, 16, 4)
  params = variables['params']
  assert params['queries']['dense_in']['kernel'].shape == (64, 512)
  assert params['temporal_tile_posenc']['embeddings'].shape == (8, 1, 512)
  assert params['readout']['Dense_1']['kernel'].shape == (1024, 8)
  count = sum(x.size for x in jax.tree.leaves(params))
  assert round(count / 1e6, 1) == 12.4


def test_a_query_predicts_its_own_frames_of_its_own_point():
  rng = np.random.default_rng(0)
  features = rng.normal(size=(1, 6, 4, 8)).astype(np.float32)
  tracks = rng.uniform(0, 64, (1, 3, 6, 2)).astype(np.float32)
  batch = {'tracks': tracks, 'is_valid': np.ones((1, 3), bool)}
  apply = jax.jit(HEAD.apply)
  variables = jax.jit(HEAD.init)(jax.random.key(0), features, batch)
  before = apply(variables, features, batch)
  # Changing the embedding of the second copy of the query changes the outputs
  # for frames 2 and 3 alone.
  times = variables['params']['temporal_tile_posenc']
  times['embeddings'] = times['embeddings'].at[1].add(1)
  moved = np.abs(apply(variables, features, batch) - before) > 1e-6
  assert moved[:, :, 2:4].all() and not moved[:, :, [0, 1, 4, 5]].any()
  # Changing the order of the points changes the order of the outputs alone.
  batch['tracks'] = tracks[:, ::-1]
  found = apply(variables, features, batch)
  batch['tracks'] = tracks
  np.testing.assert_allclose(
      found[:, ::-1], apply(variables, features, batch), atol=1e-6
  )


def test_loss_agrees_with_numpy():
  rng = np.random.default_rng(0)
  outputs = rng.normal(size=(2, 3, 4, 4)).astype(np.float32)
  batch = {
      'tracks': rng.uniform(0, 64, (2, 3, 4, 2)).astype(np.float32),
      'visible': rng.uniform(size=(2, 3, 4)) > 0.4,
      'is_valid': np.array([[True, True, False], [True, True, True]]),
  }
  # Set two predictions at distances of 3 and 5 pixels in a 256 x 256 frame. The
  # Huber loss is quadratic at 3 and linear at 5, and both should be certain.
  share = batch['tracks'][0, :2, 1] / (128, 64) + ((3 / 256, 0), (0, 5 / 256))
  outputs[0, :2, 1, :2] = np.log(share / (1 - share))
  batch['visible'][0, :2, 1] = True

  probability = 1 / (1 + np.exp(-outputs.astype(float)))
  distance = np.linalg.norm(
      256 * (probability[..., :2] - batch['tracks'] / (128, 64)), axis=-1
  )
  assert {3, 5} <= set(distance.round(3).ravel())
  seen = batch['visible']
  huber = np.where(distance < 4, distance**2 / 2, 4 * (distance - 2))
  certain = -np.log(
      np.where(distance > 6, 1 - probability[..., 3], probability[..., 3])
  )
  visible = -np.log(
      np.where(seen, probability[..., 2], 1 - probability[..., 2])
  )
  terms = seen * (0.05 * huber + certain) + visible
  wanted = [terms[0, :2].mean(), terms[1].mean()]
  np.testing.assert_allclose(HEAD.loss(outputs, batch), wanted, rtol=1e-5)


def test_decode_gives_pixels_and_needs_both_visible_and_certain():
  outputs = np.zeros((1, 2, 3, 4), np.float32)
  outputs[..., 2:] = 0.5  # Probabilities of 0.62, with the product 0.39.
  outputs[0, 0, 2, 2:] = 1  # Probabilities of 0.73, with the product 0.53.
  outputs[0, 0, 2, 0] = np.log(3)  # 3/4 of the width.
  batch = {
      'tracks': np.full((1, 2, 3, 2), 5, np.float32),
      'is_valid': np.array([[True, False]]),
  }
  found = HEAD.decode(outputs, batch)
  np.testing.assert_allclose(
      found['tracks'][0, 0], [(5, 5), (64, 32), (96, 32)], rtol=1e-6
  )
  np.testing.assert_array_equal(
      found['visible'][0], [[True, False, True], [False] * 3]
  )


def test_points_head_refuses_frames_that_do_not_divide():
  batch = {'tracks': np.zeros((1, 2, 3, 2)), 'is_valid': np.ones((1, 2), bool)}
  with pytest.raises(ValueError, match='=2 must divide the 3 frames'):
    HEAD.init(jax.random.key(0), np.zeros((1, 3, 4, 8)), batch)
