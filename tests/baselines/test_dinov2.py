"""DINOv2 against transformers' classes, and its layouts."""

import re

import numpy as np
import pytest

from rvm_jax import baselines
from rvm_jax.baselines import dinov2
from tests.baselines import published

# On the native grid nothing is resized. On other grids PyTorch computes the
# position embeddings in float32.
BOUNDS = [1e-12, 1e-6, 1e-6]


def to_original(params, is_chunked=False):
  """Renames the arrays of a folder of Hugging Face to the original names."""
  blocks = {}
  renamed = {}
  names = {
      'embeddings.position_embeddings': 'pos_embed',
      'embeddings.patch_embeddings.projection': 'patch_embed.proj',
      'layernorm': 'norm',
      'attention.output.dense': 'attn.proj',
      'layer_scale1.lambda1': 'ls1.gamma',
      'layer_scale2.lambda1': 'ls2.gamma',
      'mlp.weights_in': 'mlp.w12',
      'mlp.weights_out': 'mlp.w3',
      'embeddings.': '',
      'encoder.layer.': 'blocks.0.' if is_chunked else 'blocks.',
  }
  for key, array in params.items():
    for old, new in names.items():
      key = key.replace(old, new)
    if match := re.fullmatch(r'(.*)attention\.attention\.\w+\.(\w+)', key):
      blocks.setdefault(f'{match[1]}attn.qkv.{match[2]}', []).append(array)
    else:
      renamed[key] = array
  # In the files of Hugging Face, key precedes query and value.
  return renamed | {
      key: np.concatenate([query, k, value])
      for key, (k, query, value) in blocks.items()
  }


@pytest.fixture(params=['dinov2', 'dinov2_registers'])
def golden(request):
  return published.read(request.param)


@pytest.fixture
def folder(golden, tmp_path):
  return published.write_folder(tmp_path / 'hf', golden.config, golden.params)


def test_dinov2_equals_transformers_on_every_grid(golden, folder):
  model, params = baselines.load(folder)
  found = published.differences(model, params, golden.cases)
  print(f'largest differences {found}, bounds {BOUNDS}')
  assert np.all(np.array(found) < BOUNDS), found
  assert (model.family, model.patch, model.tubelet) == ('dinov2', 14, 1)
  assert model.num_prefix == golden.cases[0][1].shape[1] - 25


def test_dinov2_has_one_tree_in_every_layout(
    golden, folder, tmp_path, monkeypatch
):
  model, params = baselines.load(folder)
  in_memory = published.write_folder(
      tmp_path / 'memory', golden.config, golden.params_in_memory
  )
  published.assert_same(baselines.load(in_memory)[1], params)
  # The number of heads is that of a released width.
  monkeypatch.setitem(dinov2.HEADS, 32, 2)
  for is_chunked in (False, True):
    arrays = to_original(golden.params, is_chunked)
    path = published.write_safetensors(tmp_path / 'x.safetensors', arrays)
    original, found = baselines.load(path)
    published.assert_same(found, params)
    # The config of the golden file has another epsilon than released models.
    assert original == model.clone(epsilon=1e-6)


def test_dinov2_loads_an_original_file_of_pytorch(
    golden, folder, tmp_path, monkeypatch
):
  torch = pytest.importorskip('torch')
  monkeypatch.setitem(dinov2.HEADS, 32, 2)
  arrays = to_original(golden.params)
  path = tmp_path / 'dinov2.pth'
  torch.save({k: torch.from_numpy(x) for k, x in arrays.items()}, path)
  published.assert_same(baselines.load(path)[1], baselines.load(folder)[1])


# Sizes of the table in the module, and numbers of parameters that PyTorch
# counts, with a mask token that is dropped here.
@pytest.mark.parametrize(
    'width, depth, gated, count',
    [(384, 12, False, 22_056_576), (1536, 40, True, 1_136_480_768)],
)
def test_dinov2_has_the_published_number_of_parameters(
    width, depth, gated, count
):
  config = {
      'model_type': 'dinov2',
      'hidden_size': width,
      'num_hidden_layers': depth,
      'num_attention_heads': dinov2.HEADS[width],
      'mlp_ratio': 4,
      'use_swiglu_ffn': gated,
      'image_size': 518,
      'patch_size': 14,
      'layer_norm_eps': 1e-6,
      'qkv_bias': True,
  }
  model = dinov2.from_config('config.json', config)
  assert published.count_parameters(model) + width == count


def test_dinov2_refuses_sides_that_are_not_multiples_of_the_patch(
    golden, folder
):
  model, params = baselines.load(folder)
  with pytest.raises(ValueError) as error:
    model.apply({'params': params}, np.zeros((1, 1, 28, 30, 3), np.float32))
  assert 'multiple of the patch side 14, got 30' in str(error.value)


def test_dinov2_refuses_a_config_that_it_does_not_compute(golden, tmp_path):
  config = golden.config | {'hidden_act': 'gelu_new'}
  folder = published.write_folder(tmp_path / 'x', config, golden.params)
  with pytest.raises(ValueError, match="hidden_act must be 'gelu'"):
    baselines.load(folder)


def test_dinov2_of_an_unknown_width_needs_a_config(golden, tmp_path):
  path = published.write_safetensors(
      tmp_path / 'x.safetensors', to_original(golden.params)
  )
  with pytest.raises(ValueError, match='width 32, and those of released'):
    baselines.load(path)
