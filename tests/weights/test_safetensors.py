"""A .safetensors file keeps every bit and shows any damage."""

import json

import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy
from safetensors import safe_open

from rvm_jax import weights
from rvm_jax.weights import trees
from tests.weights import scratch


@pytest.fixture
def params(tiny):
  return weights.load(tiny)[1]


@pytest.fixture
def saved(tmp_path, params):
  weights.save_safetensors(tmp_path / 'tiny.safetensors', params)
  return tmp_path / 'tiny.safetensors'


def test_metadata_hold_layout_sizes_and_fingerprint(saved, params, tiny):
  with safe_open(saved, 'np') as f:
    metadata, names = f.metadata(), set(f.keys())
  assert metadata['layout'] == 'rvm_jax/1'
  assert metadata['fingerprint'] == trees.fingerprint(params)
  sizes = json.loads(metadata['sizes'])
  assert (sizes['width'], sizes['core_heads'], sizes['patch']) == (48, 3, 16)
  assert 'encoder.layers_0.attention.query.kernel' in names
  assert names == {key.replace('/', '.') for key in np.load(tiny).files}


def test_save_safetensors_and_load_keep_every_bit(saved, tiny):
  expected = dict(np.load(tiny))
  model, params = weights.load(saved)
  found = trees.flatten(params)
  assert model == weights.load(tiny)[0]
  assert found.keys() == expected.keys()
  for key, array in expected.items():
    assert np.asarray(found[key]).tobytes() == array.tobytes(), key
    assert found[key].shape == array.shape


def test_save_safetensors_writes_arrays_in_fortran_order_correctly(
    tmp_path, params
):
  flat = trees.flatten(params)
  flat = {k: np.asfortranarray(v) for k, v in flat.items()}
  weights.save_safetensors(tmp_path / 'f.safetensors', trees.unflatten(flat))
  _, again = weights.load(tmp_path / 'f.safetensors')
  assert trees.fingerprint(again) == trees.fingerprint(params)


def test_load_restores_what_parameters_do_not_tell(tmp_path, params, saved):
  path = tmp_path / 'content.safetensors'
  weights.save_safetensors(path, params, content_first=True)
  assert weights.load(path)[0].content_first
  assert not weights.load(saved)[0].content_first


def test_load_reads_a_file_without_options_as_a_released_model(tmp_path, saved):
  with safe_open(saved, 'np') as f:
    metadata = f.metadata()
    tensors = {key: f.get_tensor(key) for key in f.keys()}
  del metadata['options']
  older = tmp_path / 'older.safetensors'
  safetensors_numpy.save_file(tensors, older, metadata)
  assert weights.load(older)[0] == weights.load(saved)[0]


def test_load_finds_one_flipped_bit(saved):
  data = bytearray(saved.read_bytes())
  data[-1] ^= 1
  saved.write_bytes(data)
  with pytest.raises(ValueError, match='tiny.safetensors is damaged'):
    weights.load(saved)
  weights.load(saved, verify=False)


def test_load_refuses_damaged_files_and_other_layouts(tmp_path, saved):
  cut = tmp_path / 'cut.safetensors'
  cut.write_bytes(saved.read_bytes()[:-8])
  text = tmp_path / 'text.safetensors'
  text.write_text('not a file of tensors')
  for path in (cut, text):
    with pytest.raises(ValueError, match='is not a .safetensors file'):
      weights.load(path)
  other = tmp_path / 'other.safetensors'
  safetensors_numpy.save_file({'w': np.zeros(3)}, other, {'format': 'pt'})
  with pytest.raises(ValueError, match='was not written by this project'):
    weights.load(other)
  with pytest.raises(FileNotFoundError):
    weights.load(tmp_path / 'absent.safetensors')


def test_save_safetensors_leaves_no_file_after_an_error(tmp_path, params):
  path = tmp_path / 'bad.safetensors'
  with (
      scratch.full_disk(10_000),
      pytest.raises(OSError, match='cannot be written'),
  ):
    weights.save_safetensors(path, params)
  params['extra'] = np.zeros(2, np.float32)
  with pytest.raises(ValueError, match='1 unused:\n    extra'):
    weights.save_safetensors(path, params)
  assert not list(tmp_path.iterdir())
