import jax
import numpy as np
import pytest

from rvm_jax.ops import masks


@pytest.mark.parametrize(
    'num_patches, ratio, expected',
    [
        (256, 0.95, 12),
        (24, 0.75, 6),
        (64, 0, 64),
        (64, 0.9, 6),
        # In floats 100 * (1 - 0.9) is below 10.
        (100, 0.9, 10),
        (256, 0.999, 0),
    ],
)
def test_num_visible_rounds_down(num_patches, ratio, expected):
  assert masks.num_visible(num_patches, ratio) == expected


def test_sample_visible_gives_exactly_v_different_patches():
  visible = masks.sample_visible(jax.random.key(0), (64, 4), 24, 6)
  assert visible.shape == (64, 4, 6)
  assert (np.diff(visible, axis=-1) > 0).all()
  assert visible.min() >= 0 and visible.max() < 24


def test_sample_visible_is_independent_for_each_target_and_uniform():
  visible = np.asarray(masks.sample_visible(jax.random.key(1), (500, 4), 24, 6))
  differs = (visible[:, 0] != visible[:, 1]).any(-1)
  assert differs.mean() > 0.99
  share = np.bincount(visible.ravel(), minlength=24) / (500 * 4)
  np.testing.assert_allclose(share, 0.25, atol=0.05)
