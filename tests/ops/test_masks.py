import jax
import numpy as np
import pytest

from rvm_jax.ops import masks


@pytest.mark.parametrize(
    'num_patches, ratio, expected',
    [(256, 0.95, 12), (24, 0.75, 6), (64, 0, 64)],
)
def test_num_visible(num_patches, ratio, expected):
  assert masks.num_visible(num_patches, ratio) == expected


def test_exactly_v_different_patches_are_shown():
  visible = masks.sample_visible(jax.random.key(0), (64, 4), 24, 6)
  assert visible.shape == (64, 4, 6)
  assert (np.diff(visible, axis=-1) > 0).all()
  assert visible.min() >= 0 and visible.max() < 24
  hidden = masks.hidden(visible, 24)
  np.testing.assert_array_equal(hidden.sum(-1), 18)
  assert not np.take_along_axis(
      np.asarray(hidden), np.asarray(visible), -1
  ).any()


def test_every_target_has_its_own_mask_and_every_patch_its_turn():
  hidden = masks.hidden(
      masks.sample_visible(jax.random.key(1), (500, 4), 24, 6), 24
  )
  assert (np.asarray(hidden[:, 0]) != np.asarray(hidden[:, 1])).any(
      -1
  ).mean() > 0.99
  np.testing.assert_allclose(hidden.mean((0, 1)), 0.75, atol=0.05)
