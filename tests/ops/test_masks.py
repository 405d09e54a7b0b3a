"""Numbers of visible patches, and which ones are sampled."""

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


@pytest.mark.parametrize(
    'num_patches, ratio, expected', [(196, 0.9, 176), (64, 0.9, 57), (9, 0, 0)]
)
def test_num_hidden_rounds_the_hidden_patches_down(
    num_patches, ratio, expected
):
  assert masks.num_hidden(num_patches, ratio) == expected


def is_split(visible, hidden, num_patches):
  """Returns whether the two parts, each in order, make up all patches."""
  for part in (visible, hidden):
    assert part.dtype == np.int32
    assert (np.diff(part, axis=-1) > 0).all()
  both = np.concatenate([visible, hidden], -1)
  return (np.sort(both, -1) == np.arange(num_patches)).all()


def test_sample_split_divides_all_patches():
  visible, hidden = masks.sample_split(jax.random.key(0), (8, 3), 24, 6)
  assert visible.shape == (8, 3, 6) and hidden.shape == (8, 3, 18)
  assert is_split(visible, hidden, 24)
  assert len({tuple(row) for row in visible.reshape(-1, 6).tolist()}) > 20


@pytest.mark.parametrize('num_blocks, scale', [(8, 0.15), (2, 0.7)])
def test_sample_blocks_divides_all_patches_at_the_fixed_number(
    num_blocks, scale
):
  kind = dict(num_blocks=num_blocks, scale=scale, aspect=(0.75, 1.5))
  count = masks.num_outside_blocks((14, 14), **kind)
  visible, hidden = masks.sample_blocks(
      jax.random.key(0), (64,), (14, 14), visible=count, **kind
  )
  assert visible.shape == (64, count) and hidden.shape == (64, 196 - count)
  assert is_split(visible, hidden, 196)


def test_sample_blocks_hides_a_block_of_the_scale_and_aspect():
  # A block with a quarter of the area and aspect 1 has 8 x 8 patches.
  kind = dict(num_blocks=1, scale=0.25, aspect=(1.0, 1.0))
  count = masks.num_outside_blocks((16, 16), **kind)
  assert count == 256 - 64
  _, hidden = masks.sample_blocks(
      jax.random.key(0), (32,), (16, 16), visible=count, **kind
  )
  rows, columns = np.divmod(np.asarray(hidden), 16)
  for row, column in zip(rows, columns):
    assert np.ptp(row) == np.ptp(column) == 7
  places = {(int(r.min()), int(c.min())) for r, c in zip(rows, columns)}
  assert len(places) > 20
  assert {0, 8} <= {place for both in places for place in both}


def test_blocks_of_a_large_aspect_are_tall():
  kind = dict(num_blocks=1, scale=0.25, aspect=(4.0, 4.0))
  _, hidden = masks.sample_blocks(
      jax.random.key(0), (4,), (16, 16), visible=192, **kind
  )
  for row, column in zip(*np.divmod(np.asarray(hidden), 16)):
    assert np.ptp(row) == 15 and np.ptp(column) == 3


def test_num_outside_blocks_is_the_mean_rounded_down():
  # Each of eight blocks hides one of eight patches, 8 (7 / 8)^8 = 2.7 of which
  # are then left.
  kind = dict(num_blocks=8, scale=1 / 8, aspect=(1.0, 1.0))
  assert masks.num_outside_blocks((1, 8), **kind) == 2


def test_blocks_that_hide_everything_still_leave_one_patch_visible():
  kind = dict(num_blocks=1, scale=1.0, aspect=(1.0, 1.0))
  assert masks.num_outside_blocks((2, 2), **kind) == 1
