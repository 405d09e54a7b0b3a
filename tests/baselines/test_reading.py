"""Files of arrays: complete, incomplete, damaged."""

import json

import numpy as np
import pytest

from rvm_jax.baselines import reading
from tests.baselines import published

ARRAYS = {
    'a.weight': np.arange(6, dtype=np.float32).reshape(2, 3),
    'b': np.arange(4, dtype=np.float16),
}


def write_shards(folder, weight_map, files):
  folder.mkdir()
  (folder / 'config.json').write_text('{"model_type": "x"}')
  (folder / 'model.safetensors.index.json').write_text(
      json.dumps({'weight_map': weight_map})
  )
  for name, arrays in files.items():
    published.write_safetensors(folder / name, arrays)
  return folder


def test_folder_has_its_config_and_arrays_in_float32(tmp_path):
  folder = published.write_folder(tmp_path / 'x', {'model_type': 'x'}, ARRAYS)
  config, arrays = reading.open_folder(folder)
  assert config == {'model_type': 'x'}
  assert arrays.specs == {
      'a.weight': ((2, 3), 'float32'),
      'b': ((4,), 'float32'),
  }
  for key, array in ARRAYS.items():
    assert arrays.read(key).dtype == np.float32
    np.testing.assert_array_equal(arrays.read(key), array)


def test_folder_of_several_files_has_the_arrays_of_all(tmp_path):
  folder = write_shards(
      tmp_path / 'x',
      {'a.weight': '1.safetensors', 'b': '2.safetensors'},
      {
          '1.safetensors': {'a.weight': ARRAYS['a.weight']},
          '2.safetensors': {'b': ARRAYS['b']},
      },
  )
  _, arrays = reading.open_folder(folder)
  assert set(arrays.specs) == set(ARRAYS)
  np.testing.assert_array_equal(arrays.read('b'), ARRAYS['b'])


def test_folder_names_files_and_arrays_that_are_missing(tmp_path):
  weight_map = {'a.weight': '1.safetensors', 'b': '2.safetensors'}
  folder = write_shards(
      tmp_path / 'x',
      weight_map,
      {'1.safetensors': {'a.weight': ARRAYS['a.weight']}},
  )
  with pytest.raises(ValueError) as error:
    reading.open_folder(folder)
  assert 'names 2 files, of which 1 are not there: 2.saf' in str(error.value)
  folder = write_shards(
      tmp_path / 'y',
      weight_map,
      {'1.safetensors': ARRAYS, '2.safetensors': {'c': ARRAYS['b']}},
  )
  with pytest.raises(ValueError) as error:
    reading.open_folder(folder)
  assert 'names 1 arrays that its files do not hold: b' in str(error.value)


def test_folder_without_config_or_arrays_says_what_is_missing(tmp_path):
  with pytest.raises(FileNotFoundError, match='has no config.json'):
    reading.open_folder(tmp_path)
  (tmp_path / 'config.json').write_text('{}')
  with pytest.raises(FileNotFoundError, match='has neither model.safetensors'):
    reading.open_folder(tmp_path)
  (tmp_path / 'config.json').write_text('{')
  with pytest.raises(ValueError, match='config.json is not a JSON file'):
    reading.open_folder(tmp_path)


@pytest.mark.parametrize('kept', [3, 40, -1])
def test_truncated_safetensors_are_refused_in_a_line(kept, tmp_path):
  path = published.write_safetensors(tmp_path / 'x.safetensors', ARRAYS)
  path.write_bytes(path.read_bytes()[:kept])
  with pytest.raises(ValueError) as error:
    reading.open_file(path)
  assert 'not a .safetensors file, or not all of one' in str(error.value)
  assert '\n' not in str(error.value)


def test_missing_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='there is no file .*x.pth'):
    reading.open_file(tmp_path / 'x.pth')
