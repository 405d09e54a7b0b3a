"""Sizes from configs and from shapes."""

import pytest

from rvm_jax.baselines import reading
from rvm_jax.baselines import sizes

ARRAYS = reading.Arrays(
    'file',
    {
        'a.0.w': reading.Spec((2, 3), 'float32'),
        'a.11.w': reading.Spec((4, 3), 'float32'),
    },
    None,
)


def test_select_returns_values_and_checks_the_supported_ones():
  config = {'a': 1, 'b': 'x', 'c': 2}
  assert sizes.select('name', config, ['c', 'a'], b='x', absent=3) == [2, 1]
  with pytest.raises(ValueError, match='name lacks d, e'):
    sizes.select('name', config, ['d', 'a', 'e'])
  with pytest.raises(ValueError, match="name: b must be 'y', .*, got 'x'"):
    sizes.select('name', config, [], b='y')


def test_sizes_of_arrays_come_from_keys_and_shapes():
  assert sizes.find_size(ARRAYS, r'a\.\d+\.w', 0, 2) == 2
  assert sizes.count_blocks(ARRAYS, r'a\.(\d+)\.') == 12
  assert sizes.count_blocks(ARRAYS, r'b\.(\d+)\.') == 0
  with pytest.raises(ValueError, match='file has no array like b'):
    sizes.find_size(ARRAYS, 'b', 0, 1)
  with pytest.raises(ValueError, match=r'a.0.w must have 1 axes, got \[2, 3'):
    sizes.find_size(ARRAYS, r'a\.0\.w', 0, 1)


def test_heads_are_known_for_released_widths_only():
  assert sizes.find_heads(ARRAYS, 8, {8: 2}) == 2
  with pytest.raises(ValueError, match='file: tokens have the width 9, .* 8'):
    sizes.find_heads(ARRAYS, 9, {8: 2})
