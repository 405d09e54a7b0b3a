"""A run's parameters are read whole, or an error lists what is wrong."""

import os
import pathlib
import shutil

from etils import epath
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rvm_jax
from rvm_jax import weights
from rvm_jax.training import saving
from rvm_jax.weights import runs
from rvm_jax.weights import trees
from tests.weights import scratch

TINY = pathlib.Path(__file__).parents[1] / 'golden' / 'rvm_tiny_params.npz'


@pytest.fixture(scope='module')
def golden():
  return weights.load(TINY)


def test_model_and_parameters_come_back(golden, tmp_path):
  scratch.save_run(tmp_path, *golden)
  for path in (tmp_path, tmp_path / 'checkpoints' / '7'):
    config, model, params = weights.load_run(path)
    assert config['model']['width'] == 48 and model == golden[0]
    assert isinstance(params['cls_token'], np.ndarray)
    assert trees.fingerprint(params) == trees.fingerprint(golden[1])


def test_one_error_lists_missing_unused_and_misshapen(golden, tmp_path):
  model, params = golden
  params = trees.flatten(params)
  params['head/kernel'] = np.zeros(3, np.float32)
  params['cls_token'] = np.zeros((1, 10), np.float32)
  params['mask_token'] = np.asarray(params['mask_token'], np.float16)
  del params['encoder/layers_1/mlp/dense_in/kernel']
  scratch.save_run(tmp_path, model, trees.unflatten(params))
  with pytest.raises(ValueError) as error:
    weights.load_run(tmp_path)
  text = str(error.value)
  assert text.startswith(f'{tmp_path}/checkpoints/7 does not hold')
  assert '1 missing:\n    encoder/layers_1/mlp/dense_in/kernel' in text
  assert '1 unused:\n    head/kernel' in text
  assert 'cls_token: expected float32[1, 48], got float32[1, 10]' in text
  assert 'mask_token: expected float32[1, 32], got float16[1, 32]' in text


# Orbax raises the error of one read without waiting for the others, which then
# raise theirs where nothing catches them.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize('num_damaged', [1, 100])
def test_a_damaged_checkpoint_is_named(golden, tmp_path, num_damaged):
  scratch.save_run(tmp_path, *golden)
  checkpoint = tmp_path / 'checkpoints' / '7'
  arrays = [p for p in (checkpoint / 'state').rglob('d/*') if p.is_file()]
  arrays.sort(key=lambda path: -path.stat().st_size)
  for path in arrays[:num_damaged]:
    os.truncate(path, min(path.stat().st_size, 1000))
  with pytest.raises(ValueError) as error:
    weights.load_run(tmp_path)
  text = str(error.value)
  assert text.startswith(f'{checkpoint} is damaged: ')
  assert 'byte range' in text and 'tensorstore_spec' not in text


def save_steps(workdir, model, params, *steps):
  """Writes checkpoints with digests, as training does."""
  config = {'model': scratch.settings(model)}
  for step in steps:
    path = epath.Path(workdir) / 'checkpoints' / str(step)
    state = {'params': jax.tree.map(jnp.asarray, params)}
    assert not saving.Save(path, state, {}, config).finish()


@pytest.mark.parametrize('ema', [True, False])
def test_load_takes_the_ema_unless_it_is_told_not_to(golden, tmp_path, ema):
  model, params = golden
  state = {'params': params, 'ema': jax.tree.map(lambda x: 2 * x, params)}
  path = epath.Path(tmp_path) / 'checkpoints' / '3'
  config = {'model': scratch.settings(model)}
  assert not saving.Save(path, state, {}, config).finish()
  _, found = weights.load(tmp_path, ema=ema)
  encoder = rvm_jax.load(tmp_path, ema=ema)
  for loaded in (found, encoder.params):
    np.testing.assert_array_equal(
        loaded['cls_token'], params['cls_token'] * (2 if ema else 1)
    )


def exchange_bytes(checkpoint):
  """Changes bytes of the largest file, which holds the parameters."""
  path = max(checkpoint.rglob('d/*'), key=lambda path: path.stat().st_size)
  contents = bytearray(path.read_bytes())
  for place in range(1000, len(contents), len(contents) // 32):
    contents[place] ^= 0x55
  path.write_bytes(contents)


def test_changed_bytes_are_an_error_that_names_the_good_one_before(
    golden, tmp_path
):
  save_steps(tmp_path, *golden, 2, 4, 6, 8)
  folder = tmp_path / 'checkpoints'
  exchange_bytes(folder / '6')
  exchange_bytes(folder / '8')
  for path in (tmp_path, folder / '8'):
    with pytest.raises(ValueError) as error:
      weights.load(path)
    text = str(error.value)
    assert text.startswith(f'{folder}/8 is damaged: ')
    assert text.endswith(f'. The newest good one before it is {folder}/4')
  assert weights.load(folder / '4')[0] == golden[0]
  shutil.rmtree(folder / '2')
  shutil.rmtree(folder / '4')
  with pytest.raises(ValueError, match='No checkpoint before it is good'):
    weights.load(tmp_path)


def test_an_empty_newest_checkpoint_is_an_error(golden, tmp_path):
  save_steps(tmp_path, *golden, 2)
  (tmp_path / 'checkpoints' / '4').mkdir()
  with pytest.raises(ValueError) as error:
    weights.load_run(tmp_path)
  assert str(error.value).endswith(f'before it is {tmp_path}/checkpoints/2')


def test_parameters_of_another_checkpoint_load_only_unverified(
    golden, tmp_path
):
  model, params = golden
  save_steps(tmp_path, model, params, 2)
  save_steps(tmp_path, model, jax.tree.map(lambda x: x + 1, params), 4)
  newest = tmp_path / 'checkpoints' / '4'
  shutil.rmtree(newest / 'state')
  shutil.copytree(tmp_path / 'checkpoints' / '2' / 'state', newest / 'state')
  with pytest.raises(ValueError, match='changed since it was saved'):
    weights.load(tmp_path)
  _, found = weights.load(tmp_path, verify=False)
  assert trees.fingerprint(found) == trees.fingerprint(params)


@pytest.mark.parametrize('verify', [True, False])
@pytest.mark.parametrize('save', [save_steps, scratch.save_run])
def test_parameters_that_are_not_finite_are_refused(
    golden, tmp_path, save, verify
):
  model, params = golden
  flat = trees.flatten(params)
  flat['mask_token'] = flat['mask_token'].at[0, 3].set(np.nan)
  params = trees.unflatten(flat)
  if save is save_steps:
    save(tmp_path, model, params, 7)
  else:
    save(tmp_path, model, params)
  with pytest.raises(ValueError, match=r'not finite .*mask_token \(1'):
    weights.load(tmp_path, verify=verify)


def test_configs_of_earlier_versions_get_the_settings_that_they_implied():
  model = runs.complete({'model': {'width': 48}})['model']
  assert model == {'width': 48, 'scan_layers': False, 'content_first': False}
  kept = {'model': {'content_first': True, 'scan_layers': True}}
  assert runs.complete(kept)['model'] == kept['model']


def test_runs_of_earlier_versions_load_with_a_warning(
    golden, tmp_path, warnings
):
  scratch.save_run(tmp_path, *golden)
  weights.load(tmp_path)
  assert warnings == [
      (
          f'{tmp_path}/checkpoints/7 has no digests to verify it with: an'
          ' earlier version saved it'
      )
  ]
