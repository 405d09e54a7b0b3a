"""DINOv3 against transformers' class, and its layouts."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax import baselines
from rvm_jax.baselines import dinov3
from tests.baselines import published

# PyTorch computes the rotary angles in float32 on every grid.
BOUND = 5e-6


def to_original(params):
  """Renames the arrays of a folder of Hugging Face to the original names."""
  names = {
      'embeddings.register_tokens': 'storage_tokens',
      'embeddings.patch_embeddings': 'patch_embed.proj',
      'embeddings.': '',
      'attention.o_proj': 'attn.proj',
      'layer_scale1.lambda1': 'ls1.gamma',
      'layer_scale2.lambda1': 'ls2.gamma',
      'layer.': 'blocks.',
  }
  is_gated = 'layer.0.mlp.gate_proj.weight' in params
  names |= (
      {'gate_proj': 'w1', 'up_proj': 'w2', 'down_proj': 'w3'}
      if is_gated
      else {'up_proj': 'fc1', 'down_proj': 'fc2'}
  )
  renamed, blocks = {}, {}
  for key, array in params.items():
    for old, new in names.items():
      key = key.replace(old, new)
    if match := re.fullmatch(r'(.*)attention\.([qkv])_proj\.(\w+)', key):
      parts = blocks.setdefault(f'{match[1]}attn.qkv.{match[3]}', {})
      parts[match[2]] = array
    else:
      renamed[key] = array
  for key, parts in blocks.items():
    # The original has a bias for keys that it multiplies by zero.
    parts.setdefault('k', np.full_like(parts['q'], 7.0))
    renamed[key] = np.concatenate([parts[name] for name in 'qkv'])
    if key.endswith('bias'):
      renamed[f'{key}_mask'] = np.ones_like(renamed[key])
  renamed['rope_embed.periods'] = np.ones(4, np.float32)
  return renamed


@pytest.mark.parametrize('name', ['dinov3', 'dinov3_gated'])
def test_dinov3_equals_transformers_on_every_grid(name, tmp_path):
  golden = published.read(name)
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  model, params = baselines.load(folder)
  found = published.differences(model, params, golden.cases)
  print(f'largest differences {found}, bound {BOUND}')
  assert max(found) < BOUND, found
  assert (model.family, model.patch, model.tubelet) == ('dinov3', 8, 1)
  assert model.num_prefix == golden.cases[0][1].shape[1] - 25
  in_memory = published.write_folder(
      tmp_path / 'memory', golden.config, golden.params_in_memory
  )
  published.assert_same(baselines.load(in_memory)[1], params)


def test_dinov3_has_one_tree_in_the_original_layout(tmp_path, monkeypatch):
  golden = published.read('dinov3')
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  model, params = baselines.load(folder)
  monkeypatch.setitem(dinov3.HEADS, 32, 2)
  path = published.write_safetensors(
      tmp_path / 'x.safetensors', to_original(golden.params)
  )
  original, found = baselines.load(path)
  published.assert_same(found, params)
  # The config of the golden file has another epsilon than released models.
  assert original == model.clone(epsilon=1e-5)


def test_dinov3_reads_gated_original_files_without_biases(
    tmp_path, monkeypatch
):
  golden = published.read('dinov3_gated')
  arrays = {
      key: x
      for key, x in golden.params.items()
      if not re.fullmatch(r'.*(k|v|q)_proj\.bias', key)
  }
  # Released models have biases in their MLPs.
  for i in range(2):
    for layer, size in (('up', 64), ('gate', 64), ('down', 32)):
      arrays[f'layer.{i}.mlp.{layer}_proj.bias'] = np.zeros(size, np.float32)
  monkeypatch.setitem(dinov3.HEADS, 32, 2)
  path = published.write_safetensors(
      tmp_path / 'x.safetensors', to_original(arrays)
  )
  model, params = baselines.load(path)
  assert model.gated and model.biases == ('out', 'mlp')
  mlp = params['blocks_1']['mlp']
  for name in ('gate', 'up', 'down'):
    expected = golden.params[f'layer.1.mlp.{name}_proj.weight'].T
    np.testing.assert_array_equal(mlp[name]['kernel'], expected)


def test_rotation_depends_on_the_distance_alone_and_keeps_lengths():
  angles = dinov3.compute_angles(4, 4, 16, 100.0)
  rng = np.random.default_rng(0)
  query, key = rng.normal(size=(2, 1, 1, 1, 16)).astype(np.float32)
  turned = [
      np.float64(dinov3.rotate_halves(angles, jnp.repeat(x, 16, axis=1)))[
          0, :, 0
      ]
      for x in (query, key)
  ]
  np.testing.assert_allclose(
      np.linalg.norm(turned[0], axis=1), np.linalg.norm(query), rtol=1e-6
  )
  scores = (turned[0] @ turned[1].T).reshape(4, 4, 4, 4)
  # One row and two columns further.
  np.testing.assert_allclose(scores[0, 0, 1, 2], scores[2, 1, 3, 3], rtol=1e-4)
  assert abs(scores[0, 0, 1, 2] - scores[0, 0, 2, 1]) > 1e-2


# Sizes S and H+. The numbers of parameters are those of Hugging Face's class,
# with a mask token that is dropped here.
@pytest.mark.parametrize(
    'width, depth, hidden, gated, count',
    [(384, 12, 1536, False, 21_596_544), (1280, 32, 5120, True, 840_592_640)],
)
def test_dinov3_has_the_published_number_of_parameters(
    width, depth, hidden, gated, count
):
  biases = ('query', 'value', 'out', 'mlp')
  heads = dinov3.HEADS[width]
  model = dinov3.DINOv3(width, depth, heads, hidden, gated, 4, biases)
  assert published.count_parameters(model) + width == count


def test_dinov3_refuses_a_gated_mlp_without_silu(tmp_path):
  golden = published.read('dinov3_gated')
  config = golden.config | {'hidden_act': 'gelu'}
  folder = published.write_folder(tmp_path / 'x', config, golden.params)
  with pytest.raises(ValueError, match="hidden_act must be 'silu'"):
    baselines.load(folder)
