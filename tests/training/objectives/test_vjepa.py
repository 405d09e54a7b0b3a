"""What V-JEPA learns from: blocks, features of the EMA, the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import masks
from rvm_jax.training.objectives import vjepa
from tests.training.objectives import tiny_rivals

OBJECTIVE = tiny_rivals.make('vjepa')


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


@pytest.fixture(scope='module')
def ema():
  return jax.jit(OBJECTIVE.init)(jax.random.key(1))


@pytest.fixture(scope='module')
def inputs():
  batch = tiny_rivals.make_batch(OBJECTIVE)
  return OBJECTIVE.sample(jax.random.key(0), batch)


def test_masks_are_of_the_papers_two_kinds_and_split_all_patches(inputs):
  _, sampled = inputs
  assert [kind['num_blocks'] for kind in vjepa.MASKS] == [8, 2]
  assert [kind['scale'] for kind in vjepa.MASKS] == [0.15, 0.7]
  assert {kind['aspect'] for kind in vjepa.MASKS} == {(0.75, 1.5)}
  for (visible, hidden), kind in zip(sampled, vjepa.MASKS, strict=True):
    count = masks.num_outside_blocks((4, 4), **kind)
    assert visible.shape == (4, count) and hidden.shape == (4, 16 - count)
    both = np.sort(np.concatenate([visible, hidden], 1), 1)
    np.testing.assert_array_equal(both, np.tile(np.arange(16), (4, 1)))


def test_loss_is_the_distance_to_the_normalised_features_of_the_ema(
    params, ema, inputs
):
  clips, sampled = inputs
  target = np.float64(
      OBJECTIVE.model.apply({'params': ema}, clips, method='encode')
  )
  target -= target.mean(-1, keepdims=True)
  target /= np.sqrt(np.square(target).mean(-1, keepdims=True) + 1e-5)
  predictions = OBJECTIVE.model.apply({'params': params}, clips, sampled)
  kinds = []
  for predicted, (_, hidden) in zip(predictions, sampled, strict=True):
    chosen = [x[:, places] for x, places in zip(target, np.asarray(hidden))]
    kinds.append(np.abs(predicted - np.reshape(chosen, predicted.shape)).mean())
  np.testing.assert_allclose(
      OBJECTIVE.loss(params, *inputs, ema=ema), np.mean(kinds), rtol=1e-5
  )


def test_no_gradient_reaches_the_targets(params, ema, inputs):
  loss = jax.jit(OBJECTIVE.loss)
  by_ema = jax.grad(lambda ema: loss(params, *inputs, ema=ema))(ema)
  assert not any(np.any(x) for x in jax.tree.leaves(by_ema))
  # Without an EMA the parameters make the targets, as constants too.
  found = jax.grad(loss)(params, *inputs)
  expected = jax.grad(loss)(params, *inputs, ema=params)
  jax.tree.map(np.testing.assert_array_equal, found, expected)
  assert any(np.any(x) for x in jax.tree.leaves(found['encoder']))


def test_prediction_depends_on_visible_patches_alone(params, inputs):
  clips, sampled = inputs

  def predict(clips, kind):
    found = OBJECTIVE.model.apply({'params': params}, clips, sampled)
    return found[kind].sum()

  for kind, (visible, _) in enumerate(sampled):
    slope = jax.jit(jax.grad(predict), static_argnums=1)(
        jnp.float32(clips) / 255, kind
    )
    # The largest slope of each patch, [B, N].
    slope = np.abs(slope).reshape(4, 4, 4, 8, 4, 8, 3).max((1, 3, 5, 6))
    for patches, places in zip(slope.reshape(4, 16), np.asarray(visible)):
      assert set(np.flatnonzero(patches)) == set(places.tolist())


def test_each_kind_of_mask_has_a_token_of_its_own(params, inputs):
  clips, (mask, _) = inputs
  one, other = OBJECTIVE.model.apply({'params': params}, clips, [mask, mask])
  assert np.abs(one - other).max() > 1e-4


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'data.num_source': 3}, 'num_source=3 must be a multiple of the 2'),
        ({'data.num_target': 2}, 'num_target=2 must be 1: .* source frames al'),
        ({'mask_ratio': 0.9}, 'mask_ratio=0.9 must be 0: .* hides blocks'),
        ({'ema_decay': None}, 'ema_decay must be set, such as 0.99925'),
        ({'model.predictor_heads': 3}, 'divide config.model.predictor_width'),
    ],
)
def test_from_config_names_conflicts_with_their_fix(changes, message):
  with pytest.raises(ValueError, match=message):
    tiny_rivals.make('vjepa', **changes)
