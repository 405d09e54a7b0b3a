"""Tests the depth head against the released readout, and its loss."""

import functools
import pathlib

import flax.traverse_util
import jax
import numpy as np
import pytest

from rvm_jax.evals.heads import depth

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/readout_depth.npz'
HEAD = depth.DepthHead(
    num_params=32,
    num_heads=4,
    height=32,
    width=32,
    patch=(2, 8, 8),
    query_chunk=8,
)


def test_depth_head_agrees_with_the_released_readout():
  golden = dict(np.load(GOLDEN))
  params = flax.traverse_util.unflatten_dict(
      {
          ('readout', *key.split('/')[1:]): value
          for key, value in golden.items()
          if key.startswith('param/')
      }
  )
  found = jax.jit(HEAD.apply)({'params': params}, golden['features'], {})
  np.testing.assert_allclose(found, golden['output'][..., 0], atol=1e-5, rtol=0)


def test_depth_head_has_the_published_size():
  head = depth.DepthHead(
      num_params=1024,
      num_heads=16,
      height=224,
      width=224,
      patch=(2, 8, 8),
      query_chunk=392,
  )
  outputs, variables = jax.eval_shape(
      functools.partial(head.init_with_output, jax.random.key(0)),
      np.zeros((1, 16, 196, 1024), np.float32),
      {},
  )
  assert outputs.shape == (1, 16, 224, 224)
  readout = variables['params']['readout']
  assert readout['query'].shape == (6272, 16, 64)
  assert readout['Dense_1']['kernel'].shape == (1024, 128)


def test_loss_is_the_squared_difference_of_log_metres():
  outputs = np.log(np.array([[[[2, 2], [3, 9]]]], np.float32))
  true = np.array([[[[2, 4], [1, 0]]]], np.float32)
  wanted = (0 + np.log(2) ** 2 + np.log(3) ** 2) / 3
  np.testing.assert_allclose(
      HEAD.loss(outputs, {'depth': true}), [wanted], rtol=1e-5
  )
  np.testing.assert_allclose(
      HEAD.decode(outputs, {})['depth'], [[[[2, 2], [3, 9]]]], rtol=1e-6
  )


def test_depth_head_refuses_a_patch_that_does_not_divide():
  with pytest.raises(ValueError, match=r'\(2, 8, 8\) must .* \(3, 32, 32\)'):
    HEAD.init(jax.random.key(0), np.zeros((1, 3, 4, 8), np.float32), {})
