"""The option `content_first`: initial parameters, and positions in context."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from rvm_jax.models import content_first
from rvm_jax.models import layers
from rvm_jax.ops import positions
from rvm_jax.training.objectives import pretraining
from rvm_jax.weights import trees
from tests import tiny


def make_objective(is_on):
  config = tiny.get_config()
  config.model.content_first = is_on
  return pretraining.from_config(config)


@pytest.fixture(scope='module')
def objective():
  return make_objective(True)


@pytest.fixture(scope='module')
def params(objective):
  return jax.jit(objective.init)(jax.random.key(0))


@pytest.fixture(scope='module')
def inputs(objective):
  rng = np.random.default_rng(0)
  batch = {
      key: rng.integers(0, 50, shape.shape, shape.dtype)
      for key, shape in objective.batch.items()
  }
  _, visible = objective.sample(jax.random.key(1), batch)
  return batch['source'], batch['target'], batch['deltas'], visible


def test_favour_changes_patch_embedding_queries_and_keys_alone(params):
  plain = jax.jit(make_objective(False).init)(jax.random.key(0))
  plain, found = trees.flatten(plain), trees.flatten(params)
  assert plain.keys() == found.keys()
  changed = set()
  for key, array in plain.items():
    if np.allclose(array, found[key], rtol=1e-5, atol=0):
      continue
    changed.add(key)
    source, scale = key, content_first.QUERY_SCALE
    if key.startswith('tokenizer'):
      scale = content_first.PATCH_SCALE
    if key.endswith('key/kernel'):
      source = key.replace('key/kernel', 'query/kernel')
    np.testing.assert_allclose(found[key], scale * plain[source], rtol=1e-5)
  blocks = layers.name_cross_blocks(tiny.get_config().model.decoder_layers)
  assert changed == {'tokenizer/patch_embedding/Conv_0/kernel'} | {
      f'decoder/{block}/ca_attention/{kind}/kernel'
      for block in blocks
      for kind in ('query', 'key')
  }


def capture_context(objective, params, inputs):
  """Returns what the decoder attends to, [B, T * (1 + N), W]."""
  found = []

  def listen(following, args, kwargs, context):
    if context.module.name == 'decoder' and context.method_name == '__call__':
      found.append(np.asarray(args[1]))
    return following(*args, **kwargs)

  with nn.intercept_methods(listen):
    objective.model.apply({'params': params}, *inputs)
  return found[0]


def test_decoder_is_told_the_place_of_each_source_token(
    objective, params, inputs
):
  plain = make_objective(False)
  added = capture_context(objective, params, inputs) - capture_context(
      plain, params, inputs
  )
  frames = added.reshape(*inputs[0].shape[:2], -1, added.shape[-1])
  assert not frames[:, :, 0].any()  # CLS has no place.
  where = positions.sinusoid(frames.shape[2] - 1, frames.shape[3])
  expected = np.broadcast_to(where, frames[:, :, 1:].shape)
  np.testing.assert_allclose(frames[:, :, 1:], expected, atol=1e-5)


def test_features_do_not_depend_on_the_option(objective, params, inputs):
  plain = make_objective(False)
  np.testing.assert_array_equal(
      objective.encode(params, inputs[0]), plain.encode(params, inputs[0])
  )
