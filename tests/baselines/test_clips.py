"""Sizes of clip models, from the shapes of their arrays."""

import pytest

from rvm_jax.baselines import clips
from rvm_jax.baselines import reading


def make_arrays(width):
  """Returns arrays of an original file with three blocks, without contents."""
  shapes = {'patch_embed.proj.weight': (width, 3, 2, 14, 14)}
  for i in range(3):
    shapes[f'blocks.{i}.mlp.fc1.weight'] = (40, width)
  specs = {k: reading.Spec(shape, 'float32') for k, shape in shapes.items()}
  return reading.Arrays('vit.pt', specs, specs.__getitem__)


def test_read_sizes_reads_shapes():
  assert clips.read_sizes(make_arrays(24), {24: 3}) == {
      'width': 24,
      'depth': 3,
      'num_heads': 3,
      'mlp_width': 40,
      'patch': 14,
      'tubelet': 2,
  }


def test_read_sizes_refuses_a_width_that_was_not_released():
  with pytest.raises(ValueError, match=r'vit.pt.*width 24.*1024, 1280'):
    clips.read_sizes(make_arrays(24), {1024: 16, 1280: 16})


def test_read_sizes_names_the_array_that_is_missing():
  with pytest.raises(ValueError, match=r'vit.pt has no array like encoder'):
    clips.read_sizes(make_arrays(24), {24: 3}, r'encoder\.')
