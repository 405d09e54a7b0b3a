"""VideoMAE against transformers' class; its layouts, and wrong inputs."""

import jax
import numpy as np
import pytest

from rvm_jax import baselines
from rvm_jax.baselines import videomae
from tests.baselines import published

GOLDEN = published.read('videomae')
# Parts of Hugging Face's keys, and those of the original repository.
NAMES = {
    'embeddings.patch_embeddings.projection': 'encoder.patch_embed.proj',
    'encoder.layer.': 'encoder.blocks.',
    'attention.attention.q_bias': 'attn.q_bias',
    'attention.attention.v_bias': 'attn.v_bias',
    'attention.output.dense': 'attn.proj',
    'intermediate.dense': 'mlp.fc1',
    'output.dense': 'mlp.fc2',
    'layernorm_before': 'norm1',
    'layernorm_after': 'norm2',
    'layernorm.': 'encoder.norm.',
}
ORIGINAL = published.fuse(GOLDEN.params, NAMES, 'attention.attention')
DECODER = {
    'mask_token': np.zeros((1, 1, 4), 'f4'),
    'encoder_to_decoder.weight': np.zeros((4, 48), 'f4'),
    'decoder.norm.weight': np.zeros(4, 'f4'),
}


@pytest.fixture
def small_heads(monkeypatch):
  """Adds the width of the golden model to the known widths."""
  monkeypatch.setitem(videomae.HEADS, 48, 3)


@pytest.fixture(scope='module')
def loaded(tmp_path_factory):
  """The model and the parameters of a folder of Hugging Face."""
  folder = tmp_path_factory.mktemp('hf') / 'model'
  return baselines.load(
      published.write_folder(folder, GOLDEN.config, GOLDEN.params)
  )


@pytest.mark.parametrize('case', range(3))
def test_tokens_are_those_of_transformers(loaded, case):
  (found,) = published.differences(*loaded, [GOLDEN.cases[case]])
  assert found <= 1e-11


def test_tokens_in_float32_are_those_of_transformers(loaded):
  model, params = loaded
  frames, tokens = GOLDEN.cases[1]
  computed = jax.jit(model.apply)({'params': params}, frames)
  assert computed.dtype == np.float32
  np.testing.assert_allclose(computed, tokens, rtol=0, atol=2e-5)


@pytest.mark.parametrize('start', ['', 'module.', 'model/', 'module/module.'])
def test_original_file_gives_the_same_parameters(
    loaded, tmp_path, small_heads, start
):
  arrays = {start + key: x for key, x in (ORIGINAL | DECODER).items()}
  arrays['optimizer/state/0/exp_avg'] = np.zeros(3, 'f4')
  path = published.write_safetensors(tmp_path / 'x.safetensors', arrays)
  model, params = baselines.load(path)
  jax.tree.map(np.testing.assert_array_equal, params, loaded[1])
  # The arrays of an original file do not tell these three attributes.
  assert model == loaded[0].clone(rows=14, num_frames=16, epsilon=1e-6)


def test_keys_of_pretraining_and_in_memory_give_the_same_parameters(
    loaded, tmp_path, monkeypatch
):
  messages = []
  monkeypatch.setattr(
      'absl.logging.info', lambda text, *args: messages.append(text % args)
  )
  arrays = {
      'videomae.'
      + key.replace('q_bias', 'query.bias').replace('v_bias', 'value.bias'): x
      for key, x in GOLDEN.params.items()
  }
  folder = published.write_folder(
      tmp_path / 'model', GOLDEN.config, arrays | DECODER
  )
  _, params = baselines.load(folder)
  jax.tree.map(np.testing.assert_array_equal, params, loaded[1])
  assert any('dropped 3 arrays' in m and 'decoder' in m for m in messages)


def test_keys_have_no_bias(loaded, tmp_path):
  attention = loaded[1]['blocks_0']['attention']
  assert [name for name in attention if 'bias' not in attention[name]] == [
      'key'
  ]
  key = 'encoder.layer.0.attention.attention.key.bias'
  arrays = GOLDEN.params | {key: np.zeros(48, 'f4')}
  folder = published.write_folder(tmp_path / 'a', GOLDEN.config, arrays)
  with pytest.raises(ValueError, match='1 unused'):
    baselines.load(folder)


@pytest.mark.parametrize(
    'shape, message',
    [
        ((1, 5, 20, 20, 3), 'positive multiple of 2'),
        ((1, 6, 20, 22, 3), 'width must be a positive multiple'),
        ((1, 4, 20, 20, 3), 'encodes clips of 6 frames, got 4'),
        ((6, 20, 20, 3), r'frames must be \[B, T, H, W, 3\]'),
    ],
)
def test_frames_that_cannot_be_encoded_are_refused(loaded, shape, message):
  model, params = loaded
  with pytest.raises(ValueError, match=message):
    model.apply({'params': params}, np.zeros(shape, 'f4'))


def test_fine_tuned_models_are_refused(tmp_path, small_heads):
  config = GOLDEN.config | {'use_mean_pooling': True}
  folder = published.write_folder(tmp_path / 'a', config, GOLDEN.params)
  with pytest.raises(ValueError, match=r'use_mean_pooling.*fine-tuned'):
    baselines.load(folder)
  arrays = {k.removeprefix('encoder.'): x for k, x in ORIGINAL.items()}
  arrays['fc_norm.weight'] = arrays.pop('norm.weight')
  path = published.write_safetensors(tmp_path / 'x.safetensors', arrays)
  with pytest.raises(ValueError, match=r'encoder.norm.weight.*fine-tuned'):
    baselines.load(path)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'intermediate_size': 96}, '6 misshapen'),
        ({'num_hidden_layers': 3}, '15 missing'),
        ({'num_hidden_layers': 1}, '15 unused'),
        ({'hidden_act': 'gelu_new'}, "hidden_act must be 'gelu'"),
        ({'model_type': 'vjepa2'}, 'lacks mlp_ratio'),
    ],
)
def test_config_of_another_model_is_refused(tmp_path, changes, message):
  folder = published.write_folder(
      tmp_path / 'a', GOLDEN.config | changes, GOLDEN.params
  )
  with pytest.raises(ValueError, match=message):
    baselines.load(folder)
