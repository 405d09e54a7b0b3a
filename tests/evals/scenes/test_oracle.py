"""Tests the oracle, whose features say what each patch shows."""

import numpy as np
import pytest

from rvm_jax.evals.scenes import oracle
from tests.evals.scenes import small_clips


@pytest.fixture(scope='module')
def examples():
  return small_clips.generate('held_out', 8)


def test_only_revealed_clips_have_features(examples):
  hidden = oracle.make(8)
  frames = examples[0].example['frames']
  with pytest.raises(ValueError, match='truth:8 is for configs/eval_scenes'):
    hidden.encode(frames[None])
  revealed = hidden.reveal(examples[:2])
  assert (revealed.name, revealed.identity) == ('oracle', 'truth:8')
  other = examples[1].example['frames']
  patches = revealed.encode(np.stack([frames, frames // 2, other])).patches
  assert not patches[1].any()
  for found, (_, example) in zip(patches[::2], examples):
    np.testing.assert_array_equal(found, oracle.describe(example, 8))


def test_features_hold_the_share_of_each_object(examples):
  example = examples[0].example
  shares = oracle.describe(example, 8)[..., :9] / 3
  np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
  part = example['segments'][2, 8:16, 16:24]
  np.testing.assert_allclose(
      shares[2, 1, 2], np.bincount(part.ravel(), minlength=9) / 64, atol=1e-5
  )


def test_features_hold_the_distance_of_the_middle_pixel(examples):
  depth = examples[0].example['depth'].copy()
  depth[1, 12, 20] = 0  # The sky counts as 20 metres.
  example = examples[0].example | {'depth': depth}
  found = np.exp(oracle.describe(example, 8)[..., -13])
  assert found[1, 1, 2] == pytest.approx(20)
  np.testing.assert_allclose(found[2], depth[2, 4::8, 4::8], rtol=1e-5)


def test_a_place_of_the_room_keeps_its_features_while_the_camera_moves(
    examples,
):
  """Compares the sines and cosines along tracks, on patches of one pixel."""
  changes, others = [], []
  for _, example in examples:
    features = oracle.describe(example, 1)
    waves = features[..., 9:-13]  # [T, h, w, 12]
    x, y = np.moveaxis(example['tracks'].astype(int), -1, 0)  # [Q, T]
    for point in np.flatnonzero(example['visible'].all(1)):
      path = np.arange(4), y[point], x[point]
      if (features[path][:, 0] == 3).all():  # It is not on an object.
        changes.append(np.abs(waves[path] - waves[path][0]).mean())
        still = np.arange(4), y[point, 0], x[point, 0]
        others.append(np.abs(waves[still] - waves[still][0]).mean())
  assert len(changes) > 5
  assert np.median(changes) < 0.3 * np.median(others)
