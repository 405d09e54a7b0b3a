"""Released files are read and written strictly, bit for bit."""

import pickle
import zipfile

import jax
import numpy as np
import pytest

from rvm_jax import weights
from tests.weights import scratch


@pytest.fixture
def arrays(tiny):
  return dict(np.load(tiny))


@pytest.fixture
def params(tiny):
  return weights.load(tiny)[1]


def save(path, arrays):
  with open(path, 'wb') as f:
    np.savez(f, **arrays)
  return path


def test_load_infers_the_sizes_of_the_model(tiny):
  model, params = weights.load(tiny)
  assert (model.width, model.patch, model.dtype) == (48, 16, 'float32')
  assert (model.encoder_layers, model.encoder_heads) == (2, 4)
  assert (model.encoder_mlp, model.core_mlp, model.decoder_mlp) == (96, 80, 64)
  assert (model.core_layers, model.core_heads) == (2, 3)
  assert (model.decoder_width, model.decoder_heads) == (32, 4)
  assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))


def test_save_npz_and_load_keep_every_bit(tmp_path, arrays, params):
  weights.save_npz(tmp_path / 'again.npz', params)
  again = dict(np.load(tmp_path / 'again.npz'))
  assert again.keys() == arrays.keys()
  for key, array in arrays.items():
    assert again[key].tobytes() == array.tobytes(), key
  assert [p.name for p in tmp_path.iterdir()] == ['again.npz']


def test_load_lists_missing_unused_and_misshapen_keys(tmp_path, arrays):
  del arrays['mask_token']
  del arrays['encoder/layers_1/mlp/dense_in/kernel']
  arrays['encoder/layers_0/attention/query/kernel'] = np.zeros(
      (48, 2, 24), np.float32
  )
  arrays['decoder/output_norm/scale'] = np.zeros(32, np.float64)
  arrays['head/kernel'] = np.zeros(3, np.float32)
  with pytest.raises(ValueError) as error:
    weights.load(save(tmp_path / 'bad.npz', arrays))
  text = str(error.value)
  assert 'bad.npz' in text
  assert '2 missing:' in text and 'mask_token' in text
  assert 'encoder/layers_1/mlp/dense_in/kernel' in text
  assert '1 unused:' in text and 'head/kernel' in text
  assert '2 misshapen:' in text
  assert 'expected float32[48, 4, 12], got float32[48, 2, 24]' in text
  assert 'expected float32[32], got float64[32]' in text


def test_model_without_decoder_encodes_and_refuses_to_reconstruct(
    tmp_path, arrays, tiny
):
  full, params = weights.load(tiny)
  decoder = ('mask_token', 'decoder', 'delta_embedder', 'detokenizer')
  kept = {k: v for k, v in arrays.items() if not k.startswith(decoder)}
  model, half = weights.load(save(tmp_path / 'encoder.npz', kept))
  frames = np.random.default_rng(0).random((1, 2, 32, 32, 3), np.float32)
  np.testing.assert_array_equal(
      model.apply({'params': half}, frames, method='encode')[0],
      full.apply({'params': params}, frames, method='encode')[0],
  )
  with pytest.raises(ValueError, match='encoder and core only'):
    model.apply(
        {'params': half},
        frames,
        frames,
        np.zeros((1, 2), np.int32),
        np.zeros((1, 2, 1), np.int32),
    )
  weights.save_npz(tmp_path / 'again.npz', half)
  assert weights.load(tmp_path / 'again.npz')[0] == model


def test_load_refuses_pickles_and_never_executes_them(tmp_path, arrays):
  trace = tmp_path / 'trace'
  inside = tmp_path / 'inside.npz'
  bare = tmp_path / 'bare.npz'
  save(inside, arrays | {'mask_token': np.array([scratch.Payload(trace)])})
  bare.write_bytes(pickle.dumps(scratch.Payload(trace)))

  np.load(inside, allow_pickle=True)['mask_token']
  assert trace.exists(), 'unpickling the payload must have an effect'
  trace.unlink()
  for path, reason in ((inside, 'mask_token in it'), (bare, 'it is not a zip')):
    with pytest.raises(ValueError, match='pickles are refused') as error:
      weights.load(path)
    assert f': {reason}' in str(error.value)
    # NumPy advises to allow pickles in files that one trusts.
    assert 'trust' not in str(error.value)
  assert not trace.exists()


def test_load_refuses_other_files_and_damaged_archives(tmp_path, arrays):
  (tmp_path / 'text.npz').write_text('not an archive')
  (tmp_path / 'empty.npz').write_bytes(b'')
  np.save(tmp_path / 'one.npy', np.zeros(3))
  whole = save(tmp_path / 'whole.npz', arrays).read_bytes()
  (tmp_path / 'cut.npz').write_bytes(whole[:-1000])
  with zipfile.ZipFile(tmp_path / 'state_dict.npz', 'w') as archive:
    archive.writestr('archive/data.pkl', 'as PyTorch writes it')
  with open(tmp_path / 'packed.npz', 'wb') as f:
    np.savez_compressed(f, **arrays)
  packed = bytearray((tmp_path / 'packed.npz').read_bytes())
  # The first compressed byte follows a header of 30 bytes, a name and an extra
  # field; 255 is no valid type of a block.
  start = 30 + int.from_bytes(packed[26:28], 'little')
  start += int.from_bytes(packed[28:30], 'little')
  packed[start] = 255
  (tmp_path / 'packed.npz').write_bytes(packed)
  for name in ('text', 'empty', 'one', 'cut', 'state_dict', 'packed'):
    name += '.npy' if name == 'one' else '.npz'
    with pytest.raises(ValueError, match=f'{name} is not a plain .npz'):
      weights.load(tmp_path / name)
  with pytest.raises(ValueError, match='not an RVM checkpoint'):
    weights.load(save(tmp_path / 'other.npz', {'w': np.zeros(3)}))
  with pytest.raises(FileNotFoundError):
    weights.load(tmp_path / 'absent.npz')


def test_save_npz_refuses_another_tree_and_leaves_no_file(tmp_path, params):
  params['extra'] = np.zeros(2, np.float32)
  with pytest.raises(ValueError, match='1 unused:\n    extra'):
    weights.save_npz(tmp_path / 'bad.npz', params)
  assert not list(tmp_path.iterdir())


def test_save_npz_on_a_full_disk_leaves_no_file(tmp_path, params):
  with (
      scratch.full_disk(10_000),
      pytest.raises(OSError, match='cannot be written: .*full.npz'),
  ):
    weights.save_npz(tmp_path / 'full.npz', params)
  assert not list(tmp_path.iterdir())


def test_save_npz_never_replaces_a_file(tmp_path, params):
  (tmp_path / 'kept.npz').write_text('kept')
  with pytest.raises(FileExistsError, match='kept.npz is there already'):
    weights.save_npz(tmp_path / 'kept.npz', params)
  assert (tmp_path / 'kept.npz').read_text() == 'kept'
