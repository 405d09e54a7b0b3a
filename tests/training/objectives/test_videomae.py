"""What VideoMAE learns from: tubes, normalised tubelets, the loss."""

import jax
import numpy as np
import pytest

from tests.models import skipping
from tests.training.objectives import tiny_rivals

OBJECTIVE = tiny_rivals.make('videomae')


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


@pytest.fixture(scope='module')
def batch():
  return tiny_rivals.make_batch(OBJECTIVE)


def cut(clips, index):
  """Returns the tubelets at these places, [B, t, M, 2, 8, 8, 3]."""
  x = clips.reshape(len(clips), -1, 2, 4, 8, 4, 8, 3)
  x = np.moveaxis(x, (3, 5), (2, 3))  # [B, t, h, w, 2, P, P, 3]
  x = x.reshape(len(clips), -1, 16, 2, 8, 8, 3)
  return np.stack([step[:, places] for step, places in zip(x, index)])


def test_tubes_hide_the_share_of_patches_and_differ_between_clips(batch):
  _, visible, hidden = OBJECTIVE.sample(jax.random.key(0), batch)
  assert visible.shape == (4, 4) and hidden.shape == (4, 12)
  both = np.concatenate([visible, hidden], 1)
  np.testing.assert_array_equal(
      np.sort(both, 1), np.tile(np.arange(16), (4, 1))
  )
  assert len(set(map(tuple, np.asarray(visible)))) > 1


def test_loss_is_the_error_of_the_normalised_hidden_tubelets(params, batch):
  clips, _, hidden = inputs = OBJECTIVE.sample(jax.random.key(0), batch)
  predicted = OBJECTIVE.model.apply({'params': params}, *inputs)
  target = cut(np.float64(clips) / 255, np.asarray(hidden))
  axes = (3, 4, 5)  # Each channel of a tubelet has a mean of its own.
  target = target - target.mean(axes, keepdims=True)
  target /= np.sqrt(np.square(target).sum(axes, keepdims=True) / 127) + 1e-6
  np.testing.assert_allclose(
      jax.jit(OBJECTIVE.loss)(params, *inputs),
      np.square(predicted - target.reshape(predicted.shape)).mean(),
      rtol=1e-5,
  )


def test_loss_adds_the_epsilon_outside_the_root_of_the_variance():
  # Pixels differ by a grey level, so that the epsilon counts.
  rng = np.random.default_rng(0)
  clips = rng.integers(127, 129, (1, 4, 32, 32, 3), 'uint8')
  visible, hidden = np.array([[2, 5]]), np.array([[9, 0, 4]])
  params = skipping.draw_params(OBJECTIVE)
  with skipping.skip_transformers():
    found = OBJECTIVE.loss(params, clips, visible, hidden)
    predicted = OBJECTIVE.model.apply(
        {'params': params}, clips, visible, hidden
    )
  target = cut(clips / 255, hidden)
  axes = (3, 4, 5)
  target = target - target.mean(axes, keepdims=True)
  target /= np.sqrt(np.square(target).sum(axes, keepdims=True) / 127) + 1e-6
  error = np.square(predicted - target.reshape(predicted.shape)).mean()
  np.testing.assert_allclose(found, error, rtol=1e-5)


def test_number_of_hidden_patches_is_rounded_down(batch):
  objective = tiny_rivals.make('videomae', mask_ratio=0.9)
  _, visible, hidden = objective.sample(jax.random.key(0), batch)
  assert visible.shape == (4, 2) and hidden.shape == (4, 14)


def test_reconstruction_is_right_where_tubes_are_visible(params, batch):
  found = OBJECTIVE.reconstruct(params, batch, jax.random.key(0))
  np.testing.assert_array_equal(found.target, batch['source'][:, ::2])
  assert found.visible.shape == (4, 2, 4)
  np.testing.assert_array_equal(found.visible[:, 0], found.visible[:, 1])
  wrong = np.abs(found.pixels - found.target / 255)  # [B, 2, 32, 32, 3]
  wrong = wrong.reshape(4, 2, 4, 8, 4, 8, 3).max((3, 5, 6)).reshape(4, 2, 16)
  for clip, visible in zip(wrong, np.asarray(found.visible)[:, 0]):
    assert clip[:, visible].max() < 1e-5
    assert np.delete(clip, visible, 1).min() > 1e-2


def test_prediction_does_not_depend_on_hidden_tubes(params, batch):
  clips, visible, hidden = OBJECTIVE.sample(jax.random.key(0), batch)

  def predict(clips):
    return OBJECTIVE.model.apply({'params': params}, clips, visible, hidden)

  slope = np.asarray(
      jax.jit(jax.grad(lambda x: predict(x).sum()))(np.float32(clips) / 255)
  )
  assert np.abs(cut(slope, np.asarray(visible))).max() > 0
  np.testing.assert_array_equal(cut(slope, np.asarray(hidden)), 0)


def test_encode_repeats_tubelets_and_starts_anew_in_each_window(params):
  frames = np.random.default_rng(1).integers(0, 256, (2, 6, 16, 24, 3))
  frames = frames.astype(np.uint8)
  found = OBJECTIVE.encode(params, frames)
  assert found.shape == (2, 6, 2, 3, 16)
  np.testing.assert_array_equal(found[:, 0], found[:, 1])
  assert np.abs(found[:, 1] - found[:, 2]).max() > 0.01
  last = np.concatenate([frames[:, 4:], frames[:, [5, 5]]], 1)
  np.testing.assert_allclose(
      found[:, 4:], OBJECTIVE.encode(params, last)[:, :2], atol=1e-5
  )


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'data.num_source': 3}, 'num_source=3 must be a multiple of the 2'),
        ({'data.num_target': 2}, 'num_target=2 must be 1: .* source frames al'),
        ({'mask_ratio': 0.0}, 'mask_ratio=0.0 must hide at least one of 16'),
        ({'model.encoder_heads': 3}, 'must divide config.model.width=16'),
    ],
)
def test_from_config_names_conflicts_with_their_fix(changes, message):
  with pytest.raises(ValueError, match=message):
    tiny_rivals.make('videomae', **changes)
