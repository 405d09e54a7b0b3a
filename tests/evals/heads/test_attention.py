"""Tests the attentive readout against the released one, and its properties."""

import functools
import pathlib

import flax.traverse_util
import jax
import numpy as np
import pytest

from rvm_jax.evals.heads import attention

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'


def read_golden(name):
  """Returns features, parameters and output of the released readout."""
  golden = dict(np.load(GOLDEN / name))
  params = {
      tuple(key.split('/')[1:]): value
      for key, value in golden.items()
      if key.startswith('param/')
  }
  params = flax.traverse_util.unflatten_dict(params)
  return golden['features'], params, golden['output']


def param_shapes(readout, features, queries=None):
  """Returns the shapes of the readout's parameters, as a tree."""
  init = functools.partial(readout.init, jax.random.key(0))
  return jax.eval_shape(init, features, queries)['params']


def sample_params(readout, features, queries=None):
  """Samples parameters, so that no bias is 0 and no scale is 1."""
  rng = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: rng.normal(0, 0.5, x.shape).astype(x.dtype),
      param_shapes(readout, features, queries),
  )


def apply(readout, params, *inputs):
  """Applies the readout, compiled."""
  return np.asarray(jax.jit(readout.apply)({'params': params}, *inputs))


def test_readout_agrees_with_the_released_one():
  features, params, output = read_golden('readout_classify.npz')
  readout = attention.AttentionReadout(11, num_params=32, num_heads=4)
  wanted = jax.tree.map(np.shape, params)
  assert jax.tree.map(np.shape, param_shapes(readout, features)) == wanted
  found = apply(readout, params, features)
  np.testing.assert_allclose(found[:, 0], output, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'num_params, num_heads, num_classes, count',
    [(768, 12, 174, 7_041_966), (1024, 16, 700, 12_281_532)],
    ids=['Something-Something v2', 'Kinetics-700'],
)
def test_readout_has_as_many_parameters_as_in_4ds(
    num_params, num_heads, num_classes, count
):
  readout = attention.AttentionReadout(num_classes, num_params, num_heads)
  features = np.zeros((1, 16, 1, 1024), np.float32)
  params = jax.tree.leaves(param_shapes(readout, features))
  assert sum(x.size for x in params) == count


def test_readout_without_vjepa_is_linear_in_the_attention():
  features = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
  readout = attention.AttentionReadout(
      7, num_params=8, num_heads=2, match_vjepa_implementation=False
  )
  params = sample_params(readout, features)
  assert {'/'.join(k) for k in flax.traverse_util.flatten_dict(params)} == {
      'temporal_posenc/embeddings',
      'query',
      'key_embedding/kernel',
      'value_embedding/kernel',
      'Dense_1/kernel',
      'Dense_1/bias',
  }
  found = apply(readout, params, features)
  tokens = features + params['temporal_posenc']['embeddings']
  tokens = tokens.reshape(2, 15, 6)
  # The reference attends with each attention head on its own. 2 is the square
  # root of the head's width.
  token = np.zeros((2, 2, 4))
  for b in range(2):
    for head in range(2):
      key = tokens[b] @ params['key_embedding']['kernel'][:, head]
      value = tokens[b] @ params['value_embedding']['kernel'][:, head]
      weights = np.exp(key @ params['query'][0, head] / 2)
      token[b, head] = weights @ value / weights.sum()
  wanted = token.reshape(2, 8) @ params['Dense_1']['kernel']
  wanted += params['Dense_1']['bias']
  np.testing.assert_allclose(found[:, 0], wanted, atol=1e-6)


def test_query_chunks_change_neither_output_nor_gradient():
  features, params, _ = read_golden('readout_depth.npz')
  cotangent = np.random.default_rng(0).normal(size=(2, 32, 128))

  @jax.jit
  def run(params, features):
    def differentiate(query_chunk):
      readout = attention.AttentionReadout(
          128, 32, 4, num_queries=32, query_chunk=query_chunk
      )
      output, pull = jax.vjp(
          lambda p, x: readout.apply({'params': p}, x), params, features
      )
      return output, pull(cotangent.astype(output.dtype))

    return differentiate(None), differentiate(8)

  whole, chunked = run(params, features)
  assert whole[0].shape == (2, 32, 128)
  jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-5),
      whole,
      chunked,
  )


def test_given_queries_are_read_out_independently():
  rng = np.random.default_rng(0)
  features = rng.normal(size=(2, 3, 4, 6)).astype(np.float16)
  queries = rng.normal(size=(2, 5, 9)).astype(np.float32)
  readout = attention.AttentionReadout(7, num_params=8, num_heads=2)
  params = sample_params(readout, features, queries)
  assert 'query' not in params
  found = apply(readout, params, features, queries)
  assert found.shape == (2, 5, 7) and found.dtype == np.float32
  assert (np.ptp(found, axis=1) > 1e-3).all()
  swapped = apply(readout, params, features, queries[:, ::-1])
  np.testing.assert_allclose(swapped[:, ::-1], found, atol=1e-6)


def test_readout_depends_on_the_order_of_frames_not_of_patches():
  features, params, _ = read_golden('readout_classify.npz')
  readout = attention.AttentionReadout(11, num_params=32, num_heads=4)
  shown = [features, features[:, :, ::-1], features[:, ::-1]]
  found, by_patch, by_frame = np.split(
      apply(readout, params, np.concatenate(shown)), 3
  )
  np.testing.assert_allclose(by_patch, found, atol=1e-5)
  assert np.abs(by_frame - found).max() > 1e-3


def test_readout_refuses_sizes_that_do_not_divide():
  features = np.zeros((1, 2, 3, 4), np.float32)
  for fields, message in (
      (dict(num_params=30), 'num_params=30 must be a multiple of num_heads=4'),
      (dict(query_chunk=5), 'query_chunk=5 must divide the 8 queries'),
  ):
    fields = dict(num_params=32, num_heads=4, num_queries=8) | fields
    with pytest.raises(ValueError, match=message):
      param_shapes(attention.AttentionReadout(11, **fields), features)
