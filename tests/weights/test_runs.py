"""A run's parameters come out whole, or with a list of what is wrong."""

import os
import pathlib

import numpy as np
import pytest

from rvm_jax import weights
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


# Orbax does not wait for its other reads.
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
