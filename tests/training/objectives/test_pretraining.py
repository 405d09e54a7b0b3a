"""What RVM learns from: visible patches, the loss, features and pictures."""

import jax
import numpy as np
import pytest

from rvm_jax.training.objectives import pretraining
from tests import tiny

OBJECTIVE = pretraining.from_config(tiny.get_config())


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


@pytest.fixture(scope='module')
def batch():
  rng = np.random.default_rng(0)
  return {
      key: rng.integers(0, 50, shape.shape, shape.dtype)
      for key, shape in OBJECTIVE.batch.items()
  }


def test_sample_shows_the_share_of_patches_and_depends_on_the_key(batch):
  found, visible = OBJECTIVE.sample(jax.random.key(0), batch)
  assert found is batch
  assert visible.shape == (4, 2, 4)  # Of 16 patches, with mask_ratio=0.75.
  assert all(len(set(row)) == 4 for row in visible.reshape(8, 4).tolist())
  again = OBJECTIVE.sample(jax.random.key(0), batch)[1]
  np.testing.assert_array_equal(visible, again)
  assert (visible != OBJECTIVE.sample(jax.random.key(1), batch)[1]).any()


def test_loss_is_the_squared_error_of_the_reconstruction(params, batch):
  key = jax.random.key(0)
  found = jax.jit(OBJECTIVE.reconstruct)(params, batch, key)
  np.testing.assert_array_equal(found.target, batch['target'])
  inputs = OBJECTIVE.sample(key, batch)
  np.testing.assert_array_equal(found.visible, inputs[1])
  assert found.pixels.shape == batch['target'].shape
  np.testing.assert_allclose(
      jax.jit(OBJECTIVE.loss)(params, *inputs),
      np.square(found.pixels - batch['target'] / 255).mean(),
      rtol=1e-5,
  )


def attend(config, params, batch):
  """Returns `attend` of a config's objective, and the masks' random key."""
  key = jax.random.key(0)
  objective = pretraining.from_config(config)
  return jax.jit(objective.attend)(params, batch, key), key


def test_attend_returns_the_weights_of_the_decoders_cross_attention(
    params, batch
):
  found, key = attend(tiny.get_config(), params, batch)
  _, visible = OBJECTIVE.sample(key, batch)
  np.testing.assert_array_equal(found.visible, visible)
  # Queries and keys of the only block, of 2 targets and 2 sources, with 1 + 16
  # tokens each.
  _, kept = OBJECTIVE.model.apply(
      {'params': params},
      *(batch[key] for key in ('source', 'target', 'deltas')),
      visible,
      capture_intermediates=True,
      mutable=['intermediates'],
  )
  block = kept['intermediates']['decoder']['xa_blocks_0']['ca_attention']
  query, key = (
      np.asarray(block[name]['__call__'][0]).reshape(4, 34, 2, 8)
      for name in ('query', 'key')
  )
  scores = np.exp(np.einsum('bqhc,bmhc->bhqm', query, key) / np.sqrt(8))
  weights = (scores / scores.sum(-1, keepdims=True)).mean(1)
  weights = weights.reshape(4, 1, 2, 17, 2, 17)[..., 1:, :, 1:]
  np.testing.assert_allclose(found.weights, weights, atol=1e-6)


def test_attend_is_the_same_for_loops_and_rematerialised_blocks(params, batch):
  expected, _ = attend(tiny.get_config(), params, batch)
  config = tiny.get_config()
  config.model.update(remat='dots', scan_layers=True)
  found, _ = attend(config, params, batch)
  jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_update_gate_is_the_mean_over_patches_of_later_frames(params, batch):
  found, _ = attend(tiny.get_config(), params, batch)
  gates = OBJECTIVE.model.apply(
      {'params': params}, batch['source'], method='update_gates'
  )
  np.testing.assert_allclose(
      found.update_gate, gates[:, 1, 1:].mean((1, 2)), rtol=1e-5
  )
  config = tiny.get_config()
  config.data.num_source = 1
  one_frame = batch | {'source': batch['source'][:, :1]}
  found, _ = attend(config, params, one_frame)
  assert found.update_gate is None and found.weights.shape[-2] == 1


def test_encode_returns_the_states_of_the_patches(params, batch):
  frames = batch['source']
  found = jax.jit(OBJECTIVE.encode)(params, frames)
  states, _ = OBJECTIVE.model.apply(
      {'params': params}, frames.astype(np.float32) / 255, method='encode'
  )
  assert found.shape == (4, 2, 4, 4, OBJECTIVE.model.width)
  np.testing.assert_allclose(found[:, :, 1, 2], states[:, :, 7], atol=1e-5)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'data.height': 36}, 'height=36 must be .*multiple of .*use 32 or 40'),
        ({'mask_ratio': 0.99}, 'must leave at least one of 16 patches'),
        ({'mask_ratio': 1.5}, 'must leave at least one of 16 patches'),
        ({'mask_ratio': -0.5}, 'must leave .* visible, and not be negative'),
        ({'model.patch': 0}, 'config.model.patch=0 must be at least 1'),
        ({'model.dtype': 'half'}, "dtype='half' must be one of float32, b"),
        ({'model.attention': 'x'}, "attention='x' must be one of auto, xla"),
        ({'model.attention': 'cudnn'}, "needs config.model.dtype='bfloat16'"),
        ({'model.remat': 'all'}, "remat='all' must be one of none, dots, att"),
        (
            {'model.core_heads': 3},
            'core_heads=3 must divide config.model.width',
        ),
        (
            {'model.decoder_heads': 3},
            'must divide config.model.decoder_width=1',
        ),
        ({'model.widht': 3}, 'model.widht is no setting.* config.model.width?'),
        ({'data.num_source': 61}, 'lower num_source, stride or min_gap, and'),
        ({'data.max_gap': 63}, r'max_gap = 64 .*lower max_gap to 62'),
    ],
)
def test_from_config_names_conflicts_with_their_fix(changes, message):
  config = tiny.get_config()
  config.update_from_flattened_dict(changes)
  with pytest.raises(ValueError, match=message):
    pretraining.from_config(config)
