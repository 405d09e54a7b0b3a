"""V-JEPA 1 against an implementation in PyTorch; its layouts."""

import jax
import numpy as np
import pytest

from rvm_jax import baselines
from rvm_jax.baselines import vjepa
from tests.baselines import published

GOLDEN = published.read('vjepa')


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
  """Adds the width and the grid of the golden model to the known ones."""
  monkeypatch.setitem(vjepa.HEADS, 48, 3)
  monkeypatch.setitem(vjepa.ROWS, 8 * 4 * 4, 4)


@pytest.fixture
def loaded(tmp_path):
  """The model and the parameters of a file like the released ones."""
  return baselines.load(write_checkpoint(tmp_path / 'vit.safetensors'))


def write_checkpoint(path, **changes):
  """Writes a training checkpoint whose target encoder is the golden model."""
  target = {f'module.backbone.{k}': v for k, v in GOLDEN.params.items()}
  arrays = {f'target_encoder/{k}': v for k, v in target.items()}
  # The other encoder has the same keys.
  arrays |= {f'encoder/{k}': v + 1 for k, v in target.items()}
  arrays['predictor/module.backbone.mask_tokens.0'] = np.zeros(3, 'f4')
  arrays['opt/state/0/exp_avg'] = np.zeros(3, 'f4')
  return published.write_safetensors(path, arrays | changes)


@pytest.mark.parametrize('case', range(3))
def test_tokens_equal_those_of_an_independent_implementation(loaded, case):
  (found,) = published.differences(*loaded, [GOLDEN.cases[case]])
  assert found <= 1e-11


def test_sizes_are_read_from_the_arrays(loaded):
  assert loaded[0] == vjepa.VJEPA(
      width=48,
      depth=2,
      num_heads=3,
      mlp_width=192,
      patch=4,
      tubelet=2,
      rows=4,
      num_frames=16,
      epsilon=1e-6,
  )


def test_bare_state_dict_gives_the_same_parameters(loaded, tmp_path):
  path = published.write_safetensors(tmp_path / 'x.safetensors', GOLDEN.params)
  _, params = baselines.load(path)
  jax.tree.map(np.testing.assert_array_equal, params, loaded[1])


@pytest.mark.parametrize(
    'key, message',
    [
        ('blocks.1.mlp.fc2.weight', '1 misshapen'),
        ('norm.gamma', '1 unused'),
    ],
)
def test_checkpoint_of_another_size_is_refused(tmp_path, key, message):
  changes = {f'target_encoder/module.backbone.{key}': np.zeros((3, 3), 'f4')}
  path = write_checkpoint(tmp_path / 'x.safetensors', **changes)
  with pytest.raises(ValueError, match=message):
    baselines.load(path)


@pytest.mark.parametrize(
    'shape, message',
    [
        ((1, 5, 16, 16, 3), 'positive multiple of 2'),
        ((1, 6, 18, 16, 3), 'height must be a positive multiple'),
    ],
)
def test_frames_that_cannot_be_encoded_are_refused(loaded, shape, message):
  model, params = loaded
  with pytest.raises(ValueError, match=message):
    model.apply({'params': params}, np.zeros(shape, 'f4'))
