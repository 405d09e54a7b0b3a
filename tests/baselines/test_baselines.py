"""Loading: which family a checkpoint belongs to, and wrong checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax import baselines
from tests.baselines import published


@pytest.fixture(scope='module')
def golden():
  return published.read('dinov2')


def test_load_of_an_unknown_model_names_the_known_ones(golden, tmp_path):
  config = golden.config | {'model_type': 'clip'}
  folder = published.write_folder(tmp_path / 'x', config, golden.params)
  with pytest.raises(ValueError) as error:
    baselines.load(folder)
  assert 'model_type must be one of dinov2, ' in str(error.value)
  assert "got 'clip'" in str(error.value)


def test_load_of_an_unknown_file_names_its_keys_and_the_folder(
    golden, tmp_path
):
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  with pytest.raises(ValueError) as error:
    baselines.load(folder / 'model.safetensors')
  text = str(error.value)
  assert 'is not an original file of one of DINOv2, ' in text
  assert 'embeddings.cls_token' in text
  assert text.endswith(f'give the folder of {folder / "config.json"}')


def test_load_of_another_familys_arrays_lists_what_differs(golden, tmp_path):
  params = published.read('dinov3').params
  folder = published.write_folder(tmp_path / 'x', golden.config, params)
  with pytest.raises(ValueError) as error:
    baselines.load(folder)
  text = str(error.value)
  assert 'unused:\n    embeddings.patch_embeddings.bias' in text
  assert 'blocks_1/attention/query/kernel' in text


def test_load_of_another_size_lists_what_differs(golden, tmp_path):
  config = golden.config | {'hidden_size': 64, 'num_hidden_layers': 3}
  folder = published.write_folder(tmp_path / 'x', config, golden.params)
  with pytest.raises(ValueError) as error:
    baselines.load(folder)
  text = str(error.value)
  assert 'cls_token: expected float32[1, 1, 64], got float32[1, 1, 32]' in text
  assert 'blocks_2/norm1/scale' in text


def test_load_returns_writable_float32_arrays_on_the_host(golden, tmp_path):
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  _, params = baselines.load(folder)
  for array in jax.tree.leaves(params):
    assert type(array) is np.ndarray and array.dtype == np.float32


@pytest.mark.parametrize('name', ['dinov2', 'dinov3', 'videomae', 'vjepa2'])
def test_apply_leaves_the_parameters_as_they_were(name, tmp_path):
  # Without jax.jit a model works on the very arrays that `load` returned.
  golden = published.read(name)
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  model, params = baselines.load(folder)
  model.apply({'params': params}, golden.cases[0][0])
  published.assert_same(params, baselines.load(folder)[1])


@pytest.mark.parametrize('name', ['dinov2_registers', 'dinov3', 'videomae'])
def test_weights_are_the_same_where_jax_has_float64(name, tmp_path):
  golden = published.read(name)
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  model, params = baselines.load(folder)
  with jax.enable_x64():
    model_of_64, params_of_64 = baselines.load(folder)
    frames = jnp.asarray(golden.cases[0][0], jnp.float32)
    tokens = model_of_64.apply({'params': params_of_64}, frames)
  assert model_of_64 == model and tokens.dtype == np.float32
  published.assert_same(params_of_64, params)


def test_float64_arrays_are_kept_and_computed_with(golden, tmp_path):
  # The differences of these parameters from the golden ones are lost in
  # float32.
  precise = {key: x * (1 + 2.0**-40) for key, x in golden.params.items()}
  precise = {key: np.float64(x) for key, x in precise.items()}
  folder = published.write_folder(tmp_path / 'x', golden.config, precise)
  model, params = baselines.load(folder)
  assert {x.dtype for x in jax.tree.leaves(params)} == {np.dtype(np.float64)}
  np.testing.assert_array_equal(
      params['cls_token'], precise['embeddings.cls_token']
  )
  frames, tokens = golden.cases[0]
  found = model.apply({'params': params}, frames)
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, tokens, atol=1e-4)


def test_frames_are_folded_into_the_batch_in_order(golden, tmp_path):
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  model, params = baselines.load(folder)
  rng = np.random.default_rng(0)
  frames = rng.normal(size=(2, 3, 14, 28, 3)).astype(np.float32)
  apply = jax.jit(model.apply)
  tokens = apply({'params': params}, frames)
  assert tokens.shape == (6, 1 + 2, 32)
  one = apply({'params': params}, frames[1:, 2:])
  np.testing.assert_allclose(tokens[5:], one, atol=1e-5)


def test_precision_is_chosen_by_the_modules_dtype(golden, tmp_path):
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  model, params = baselines.load(folder)
  frames, tokens = golden.cases[0]
  for dtype, bound in ((jnp.float32, 1e-3), (jnp.bfloat16, 0.3)):
    found = jax.jit(model.clone(dtype=dtype).apply)({'params': params}, frames)
    assert found.dtype == dtype
    difference = np.abs(np.float64(found) - tokens).max()
    print(f'{jnp.dtype(dtype)}: {difference:.1e}, bound {bound}')
    assert difference < bound
