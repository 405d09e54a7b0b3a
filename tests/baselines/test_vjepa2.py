"""V-JEPA 2 against transformers' class; its layouts, and wrong inputs."""

import jax
import numpy as np
import pytest

from rvm_jax import baselines
from rvm_jax.baselines import vjepa
from rvm_jax.baselines import vjepa2
from tests.baselines import published

GOLDEN = published.read('vjepa2')
# Parts of Hugging Face's keys, and those of the original repository.
NAMES = {
    'encoder.embeddings.patch_embeddings.proj': 'patch_embed.proj',
    'encoder.layer.': 'blocks.',
    'attention.proj': 'attn.proj',
    'encoder.layernorm.': 'norm.',
}
ORIGINAL = published.fuse(GOLDEN.params, NAMES, 'attention')


@pytest.fixture(autouse=True)
def small_heads(monkeypatch):
  """Adds the width of the golden model to the known widths."""
  monkeypatch.setitem(vjepa2.HEADS, 56, 2)


@pytest.fixture(scope='module')
def loaded(tmp_path_factory):
  """The model and the parameters of a folder of Hugging Face."""
  arrays = GOLDEN.params | {'predictor.proj.bias': np.zeros(3, 'f4')}
  folder = tmp_path_factory.mktemp('hf') / 'model'
  return baselines.load(published.write_folder(folder, GOLDEN.config, arrays))


@pytest.mark.parametrize('case', range(4))
def test_tokens_are_those_of_transformers(loaded, case):
  (found,) = published.differences(*loaded, [GOLDEN.cases[case]])
  assert found <= 1e-11


def test_encoder_of_a_classifier_is_read_and_its_head_dropped(loaded, tmp_path):
  # Keys of `VJEPA2ForVideoClassification`, whose encoder was not trained.
  arrays = {f'vjepa2.{key}': x for key, x in GOLDEN.params.items()}
  arrays |= {
      'vjepa2.predictor.proj.bias': np.zeros(3, 'f4'),
      'pooler.query_tokens': np.zeros((1, 1, 56), 'f4'),
      'classifier.weight': np.zeros((5, 56), 'f4'),
  }
  folder = published.write_folder(tmp_path / 'x', GOLDEN.config, arrays)
  published.assert_same(baselines.load(folder)[1], loaded[1])


def test_tokens_in_bfloat16_are_near(loaded):
  model, params = loaded
  frames, tokens = GOLDEN.cases[0]
  model = model.clone(dtype=jax.numpy.bfloat16)
  computed = jax.jit(model.apply)({'params': params}, frames)
  assert computed.dtype == jax.numpy.bfloat16
  error = np.asarray(computed, np.float64) - tokens
  assert np.sqrt(np.mean(error**2)) < 0.03


def test_angles_of_another_grid_stay_within_the_native_one():
  # The first channel of each axis has the frequency 1: channel 0 of time,
  # channel 8 of rows and channel 16 of columns.
  angles = vjepa2.rotary_angles(3, 7, 5, rows=5, head_width=28)
  angles = angles.reshape(3, 7, 5, 28)
  np.testing.assert_allclose(angles[:, 0, 0, 0], [0, 1, 2])
  np.testing.assert_allclose(
      angles[0, :, 0, 8], GOLDEN.arrays['positions'], atol=1e-15
  )
  np.testing.assert_allclose(angles[0, 0, :, 16], np.arange(5))
  np.testing.assert_array_equal(angles[..., 24:], 0)


@pytest.mark.parametrize('dict_name', ['encoder', 'target_encoder'])
def test_original_file_gives_the_same_parameters(loaded, tmp_path, dict_name):
  arrays = {
      f'{dict_name}/module.backbone.{key}': x for key, x in ORIGINAL.items()
  }
  if dict_name == 'target_encoder':
    arrays |= {
        f'encoder/module.backbone.{key}': x + 1 for key, x in ORIGINAL.items()
    }
  arrays['predictor/module.backbone.proj.bias'] = np.zeros(3, 'f4')
  path = published.write_safetensors(tmp_path / 'x.safetensors', arrays)
  model, params = baselines.load(path)
  jax.tree.map(np.testing.assert_array_equal, params, loaded[1])
  # The arrays of an original file do not tell these three attributes.
  assert model == loaded[0].clone(rows=16, num_frames=64, epsilon=1e-6)


@pytest.mark.parametrize(
    'num_positions, rows', [(32 * 16**2, 16), (8 * 24**2, 24), (32 * 24**2, 24)]
)
def test_native_grid_is_told_by_unused_positions(tmp_path, num_positions, rows):
  arrays = ORIGINAL | {'pos_embed': np.zeros((1, num_positions, 56), 'f4')}
  path = published.write_safetensors(tmp_path / 'x.safetensors', arrays)
  assert baselines.load(path)[0].rows == rows


@pytest.mark.parametrize(
    'num_positions, family', [(32 * 16**2, 'vjepa2'), (8 * 14**2, 'vjepa')]
)
def test_unused_positions_tell_it_from_the_first_v_jepa(
    tmp_path, monkeypatch, num_positions, family
):
  monkeypatch.setitem(vjepa.HEADS, 56, 2)
  arrays = ORIGINAL | {'pos_embed': np.zeros((1, num_positions, 56), 'f4')}
  path = published.write_safetensors(tmp_path / 'x.safetensors', arrays)
  assert baselines.load(path)[0].family == family


def test_native_grid_of_g_that_nothing_tells_is_warned_of(
    tmp_path, warnings, monkeypatch
):
  monkeypatch.setattr(vjepa2, 'WIDTH_OF_TWO_GRIDS', 56)
  path = published.write_safetensors(tmp_path / 'x.safetensors', ORIGINAL)
  assert baselines.load(path)[0].rows == 16
  assert '256 is assumed' in warnings[0]


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'mlp_ratio': 2}, '6 misshapen'),
        ({'hidden_size': 58}, 'misshapen'),
        ({'qkv_bias': False}, 'qkv_bias must be True'),
        ({'model_type': 'videomae'}, 'lacks intermediate_size'),
    ],
)
def test_config_of_another_model_is_refused(tmp_path, changes, message):
  folder = published.write_folder(
      tmp_path / 'a', GOLDEN.config | changes, GOLDEN.params
  )
  with pytest.raises(ValueError, match=message):
    baselines.load(folder)


@pytest.mark.parametrize(
    'shape, message',
    [
        ((1, 3, 20, 20, 3), 'positive multiple of 2'),
        ((1, 4, 20, 21, 3), 'width must be a positive multiple'),
    ],
)
def test_frames_that_cannot_be_encoded_are_refused(loaded, shape, message):
  model, params = loaded
  with pytest.raises(ValueError, match=message):
    model.apply({'params': params}, np.zeros(shape, 'f4'))
