"""The transformer blocks against the same written down in numpy."""

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.models import layers
from rvm_jax.ops.attention import pallas_tpu
from rvm_jax.weights import trees

SIZES = dict(
    num_heads=2, mlp_width=12, dtype=jnp.dtype('float32'), attention='xla'
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 5, 8)).astype(np.float32)  # [B, K, N, D]
CONTEXT = RNG.normal(size=(2, 7, 8)).astype(np.float32)  # [B, M, D]


def init(module, *inputs):
  """Parameters far from their start, where biases and scales do nothing."""
  params = jax.jit(module.init)(jax.random.key(0), *inputs)['params']
  rng = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: np.float32(x + rng.normal(size=x.shape, scale=0.3)), params
  )


def apply(module, params, *inputs):
  return jax.jit(module.apply)({'params': params}, *inputs)


def norm(p, x):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6)
  return x * p['scale'] + p['bias']


def attend(p, x, context):
  """Attention of x [Q, D] to context [M, D], one head after the other."""
  query, key, value = (
      np.einsum('nd,dhw->hnw', y, p[name]['kernel']) + p[name]['bias'][:, None]
      for name, y in (('query', x), ('key', context), ('value', context))
  )
  heads = []
  for q, k, v in zip(query, key, value, strict=True):
    scores = np.exp(q @ k.T / np.sqrt(q.shape[-1]))
    heads.append(scores / scores.sum(-1, keepdims=True) @ v)
  return np.einsum('hnw,hwd->nd', heads, p['out']['kernel']) + p['out']['bias']


def mlp(p, x):
  x = x @ p['dense_in']['kernel'] + p['dense_in']['bias']
  x = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
  return x @ p['dense_out']['kernel'] + p['dense_out']['bias']


def test_block_equals_numpy():
  block = layers.Block(**SIZES)
  p = init(block, X[0])
  for x, found in zip(X[0], apply(block, p, X[0]), strict=True):
    y = norm(p['attention_norm'], x)
    x = x + attend(p['attention'], y, y)
    x = x + mlp(p['mlp'], norm(p['mlp_norm'], x))
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_cross_block_equals_numpy_group_by_group():
  block = layers.CrossBlock(**SIZES)
  p = init(block, X, CONTEXT)
  found = apply(block, p, X, CONTEXT)
  for b, k in np.ndindex(2, 3):
    y = norm(p['ca_attention_norm'], X[b, k])
    x = X[b, k] + attend(p['ca_attention'], y, CONTEXT[b])
    x = x + mlp(p['mlp'], norm(p['mlp_norm'], x))
    y = norm(p['attention_norm'], x)
    x = x + attend(p['attention'], y, y)
    np.testing.assert_allclose(found[b, k], x, atol=1e-5)


def test_cross_transformer_equals_its_blocks_and_a_norm():
  stack = layers.CrossTransformer(num_layers=2, remat='none', **SIZES)
  p = init(stack, X, CONTEXT)
  x, block = X, layers.CrossBlock(**SIZES)
  for name in 'xa_blocks_0', 'xa_blocks_1':
    x = apply(block, p[name], x, CONTEXT)
  expected = norm(p['output_norm'], np.asarray(x))
  np.testing.assert_allclose(apply(stack, p, X, CONTEXT), expected, atol=1e-5)


@pytest.mark.parametrize('remat', ['none', 'dots', 'full'])
@pytest.mark.parametrize('scan_layers', [False, True])
def test_blocks_in_a_loop_compute_the_same_from_the_same_parameters(
    scan_layers, remat
):
  def make(scan_layers, remat):
    return layers.CrossTransformer(
        num_layers=3, remat=remat, scan_layers=scan_layers, **SIZES
    )

  def loss(params, stack):
    return jnp.square(stack.apply({'params': params}, X, CONTEXT)).sum()

  plain, stack = make(False, 'none'), make(scan_layers, remat)
  p, found = init(plain, X, CONTEXT), init(stack, X, CONTEXT)
  jax.tree.map(np.testing.assert_array_equal, found, p)
  expected = jax.jit(jax.value_and_grad(lambda p: loss(p, plain)))(p)
  found = jax.jit(jax.value_and_grad(lambda p: loss(p, stack)))(p)
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4),
      found,
      expected,
  )
  is_loop = 'scan[' in str(jax.make_jaxpr(lambda p: loss(p, stack))(p))
  assert is_loop == scan_layers


def test_bias_of_keys_changes_nothing_and_alone_has_no_gradient():
  attention = layers.Attention(
      num_heads=2, dtype='float32', implementation='xla'
  )
  p = init(attention, X[:, 0], CONTEXT)

  def compute(params):
    return attention.apply({'params': params}, X[:, 0], CONTEXT)

  other = p | {'key': p['key'] | {'bias': p['key']['bias'] + 3.0}}
  np.testing.assert_allclose(compute(other), compute(p), atol=1e-5)
  gradient = jax.grad(lambda p: jnp.square(compute(p)).sum())(p)
  zero = [name for name, x in trees.flatten(gradient).items() if not np.any(x)]
  assert zero == ['key/bias']


@pytest.mark.parametrize(
    'inputs, features', [((64,), (4, 16)), ((4, 16), (64,))]
)
def test_kernels_of_heads_begin_as_flat_ones(inputs, features):
  dense = layers.HeadsDense(inputs, features, 'float32')
  params = dense.init(jax.random.key(0), jnp.zeros((1, 1, 64)))['params']
  assert params['kernel'].shape == inputs + features
  # Xavier's bound for 64 inputs and 64 outputs.
  bound = np.sqrt(6 / (64 + 64))
  assert 0.99 * bound < abs(params['kernel']).max() <= bound


def test_rematerialise_repeats_the_products_its_argument_names():
  counts = []
  for remat in 'none', 'dots', 'full':
    block = layers.rematerialise(layers.Block, remat)(**SIZES)
    params = init(block, X[0])

    def loss(params, block=block):
      return jnp.square(block.apply({'params': params}, X[0])).sum()

    jaxpr = jax.make_jaxpr(jax.grad(loss))(params)
    counts.append(str(jaxpr).count('dot_general['))
  none, dots, full = counts
  # 'dots' repeats the two products of the attention, which have batch axes.
  assert dots == none + 2 and full > dots


@pytest.mark.parametrize(
    'remat, is_kept', [('dots', True), ('attention', True), ('full', False)]
)
def test_rematerialise_keeps_what_the_kernel_needs_for_its_gradient(
    monkeypatch, capsys, remat, is_kept
):
  def attend(query, key, value, num_heads, _):
    return pallas_tpu.attend(query, key, value, num_heads, interpret=True)

  monkeypatch.setattr(layers.attention, 'attend', attend)
  block = layers.rematerialise(layers.Block, remat)(**SIZES)
  params = jax.eval_shape(block.init, jax.random.key(0), X[0])
  jax.ad_checkpoint.print_saved_residuals(block.apply, params, X[0])
  kept = capsys.readouterr().out
  for name in 'attention_out', 'attention_log_sum':
    assert (f"named '{name}'" in kept) == is_kept


def test_rematerialise_refuses_an_unknown_argument():
  with pytest.raises(ValueError, match='none, dots, attention, full, got'):
    layers.rematerialise(layers.Block, 'some')
