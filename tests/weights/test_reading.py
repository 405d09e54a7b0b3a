"""Every format gives the same model and the same arrays, on the host."""

import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.weights import reading
from rvm_jax.weights import released
from rvm_jax.weights import trees


def test_read_gives_the_same_bits_from_every_format(source, tiny):
  model, found = reading.read(source)
  expected = dict(np.load(tiny))
  assert model == weights.load(tiny)[0]
  assert found.keys() == expected.keys()
  for key, array in expected.items():
    assert isinstance(found[key], np.ndarray), key
    assert found[key].tobytes() == array.tobytes(), key
    assert (found[key].shape, found[key].dtype) == (array.shape, array.dtype)


def test_read_logs_that_a_file_has_no_decoder(tiny, tmp_path, caplog):
  kept = {k: x for k, x in np.load(tiny).items() if not released.is_decoder(k)}
  np.savez(tmp_path / 'encoder.npz', **kept)
  with caplog.at_level('INFO', logger='absl'):
    model, found = reading.read(tmp_path / 'encoder.npz')
    assert 'encoder.npz holds encoder and core only' in caplog.text
    caplog.clear()
    reading.read(tiny)
    assert not caplog.text
  assert model.decoder_layers == 0 and found.keys() == kept.keys()


@pytest.mark.parametrize('name', ['a.npz', 'a.safetensors'])
def test_read_refuses_parameters_that_are_not_finite(tiny, tmp_path, name):
  _, params = weights.load(tiny)
  flat = trees.flatten(params)
  flat['cls_token'] = flat['cls_token'].at[0, 0].set(np.inf)
  params = trees.unflatten(flat)
  path = tmp_path / name
  if name.endswith('npz'):
    weights.save_npz(path, params)
  else:
    weights.save_safetensors(path, params)
  with pytest.raises(ValueError, match=r'a\.\w+ has .* cls_token \(1 of 48\)'):
    weights.load(path)
