"""What SiamMAE learns from: one source frame, hidden patches, the loss."""

import jax
import numpy as np
import pytest

from rvm_jax.ops import patches
from rvm_jax.training import objectives
from tests.models import skipping
from tests.training.objectives import tiny_rivals

OBJECTIVE = tiny_rivals.make('siammae')


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


@pytest.fixture(scope='module')
def batch():
  return tiny_rivals.make_batch(OBJECTIVE)


def test_loss_is_the_error_of_the_normalised_hidden_patches(params, batch):
  key = jax.random.key(0)
  _, visible, hidden = inputs = OBJECTIVE.sample(key, batch)
  assert visible.shape == (4, 2, 4) and hidden.shape == (4, 2, 12)
  found = jax.jit(OBJECTIVE.reconstruct)(params, batch, key)
  target, pixels = (
      cut(np.float64(x), i)
      for x in (batch['target'] / 255, found.pixels)
      for i in [np.asarray(hidden)]
  )
  # Predicted pixels have the target's mean and deviation, so that the
  # difference of normalised pixels is that of pixels over the deviation.
  deviation = np.sqrt(target.var(-1, ddof=1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(
      jax.jit(OBJECTIVE.loss)(params, *inputs),
      np.square((pixels - target) / deviation).mean(),
      rtol=1e-4,
  )


def test_loss_of_a_batch_is_the_mean_of_those_of_its_halves(params, batch):
  # Devices and parts of a batch compute the loss of their own rows alone.
  inputs = OBJECTIVE.sample(jax.random.key(0), batch)
  loss = jax.jit(OBJECTIVE.loss)
  halves = [
      loss(params, *jax.tree.map(lambda x, rows=rows: x[rows], inputs))
      for rows in (slice(2), slice(2, None))
  ]
  np.testing.assert_allclose(loss(params, *inputs), np.mean(halves), rtol=1e-5)


def test_loss_uses_the_source_and_adds_the_epsilon_inside_the_root(batch):
  # Pixels differ by a grey level, so that the epsilon within the root counts.
  rng = np.random.default_rng(0)
  batch = batch | {'target': rng.integers(127, 129, (4, 2, 32, 32, 3), 'uint8')}
  _, visible, hidden = inputs = OBJECTIVE.sample(jax.random.key(0), batch)
  params = skipping.draw_params(OBJECTIVE)
  with skipping.skip_transformers() as calls:
    found = OBJECTIVE.loss(params, *inputs)
    predicted = OBJECTIVE.model.apply(
        {'params': params},
        batch['source'][:, 0],
        batch['target'],
        visible,
        hidden,
    )
  source = patches.patchify(batch['source'][:, 0], 8)
  np.testing.assert_array_equal(calls[0][0], source)
  target = cut(batch['target'] / 255, np.asarray(hidden))
  target = target - target.mean(-1, keepdims=True)
  target /= np.sqrt(target.var(-1, ddof=1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(
      found, np.square(predicted - target).mean(), rtol=1e-4
  )


def cut(frames, index):
  """Returns the patches of 8 x 8 pixels at these places, [B, K, M, 192]."""
  x = frames.reshape(*frames.shape[:2], 4, 8, 4, 8, 3).swapaxes(3, 4)
  x = x.reshape(*frames.shape[:2], 16, 192)
  return np.take_along_axis(x, index[..., None], 2)


def test_reconstruction_shows_visible_patches_as_they_are(params, batch):
  found = OBJECTIVE.reconstruct(params, batch, jax.random.key(0))
  np.testing.assert_array_equal(found.target, batch['target'])
  visible = np.asarray(found.visible)
  np.testing.assert_allclose(
      cut(np.asarray(found.pixels), visible),
      cut(batch['target'] / 255, visible),
      atol=1e-6,
  )


def test_prediction_depends_on_the_source_and_on_visible_patches(params, batch):
  inputs = OBJECTIVE.sample(jax.random.key(0), batch)
  _, visible, hidden = inputs

  def predict(batch):
    return OBJECTIVE.model.apply(
        {'params': params},
        batch['source'][:, 0] / 255,
        batch['target'] / 255,
        visible,
        hidden,
    )

  # The gradient of the prediction by the pixels: hidden ones have none.
  floats = {key: np.float32(x) for key, x in batch.items()}
  slopes = jax.jit(jax.grad(lambda x: predict(x).sum()))(floats)
  assert np.abs(slopes['source']).max() > 0
  slope = np.asarray(slopes['target'])
  assert np.abs(cut(slope, np.asarray(visible))).max() > 0
  np.testing.assert_array_equal(cut(slope, np.asarray(hidden)), 0)


def test_encode_encodes_each_frame_on_its_own(params):
  frames = np.random.default_rng(1).integers(0, 256, (2, 3, 16, 24, 3))
  frames = frames.astype(np.uint8)
  found = OBJECTIVE.encode(params, frames)
  assert found.shape == (2, 3, 2, 3, 16)
  alone = OBJECTIVE.encode(params, frames[:, 2:])
  np.testing.assert_allclose(found[:, 2:], alone, atol=1e-5)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'data.num_source': 2}, 'num_source=2 must be 1: .* has one source'),
        ({'mask_ratio': 0.0}, 'mask_ratio=0.0 must hide at least one of 16'),
        ({'mask_ratio': 0.99}, 'must leave at least one of 16 patches visible'),
        ({'model.decoder_heads': 3}, 'must divide config.model.decoder_width'),
    ],
)
def test_from_config_names_conflicts_with_their_fix(changes, message):
  with pytest.raises(ValueError, match=message):
    tiny_rivals.make('siammae', **changes)


def test_settings_of_a_core_are_refused():
  config = tiny_rivals.get_config('siammae')
  config.model.core_layers = 1
  with pytest.raises(ValueError, match='config.model.core_layers is no setti'):
    objectives.from_config(config)
