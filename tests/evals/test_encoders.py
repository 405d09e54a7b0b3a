"""Models as the benchmarks see them: floors, the streaming model, checks."""

import contextlib
import dataclasses
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.evals import encoders
from rvm_jax.models import rvm
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.weights import trees

TINY = str(pathlib.Path(__file__).parents[1] / 'golden' / 'rvm_tiny_params.npz')


@pytest.fixture(scope='module')
def frames():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (2, 7, 16, 24, 3), np.uint8)


@pytest.fixture(scope='module')
def model():
  return rvm.RVM(
      width=16,
      encoder_layers=1,
      encoder_heads=2,
      encoder_mlp=32,
      core_layers=1,
      core_heads=2,
      core_mlp=32,
      decoder_layers=0,
      patch=8,
  )


@pytest.fixture(scope='module')
def params(model):
  init = functools.partial(model.init, method='encode')
  shown = jnp.zeros((1, 1, 16, 24, 3))
  shapes = jax.eval_shape(init, jax.random.key(0), shown)['params']
  # Fresh parameters hold zeros, which would hide what is carried over time.
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda x: np.float32(rng.normal(0, 0.2, x.shape)), shapes)


def test_raw_patches_are_the_pixels_of_each_patch(frames):
  found = encoders.load('raw:8').encode(frames)
  assert found.cls is None
  assert found.patches.shape == (2, 7, 2, 3, 192)
  assert found.patches.dtype == np.float32
  patch = frames[1, 4, 8:16, 16:24]
  np.testing.assert_allclose(
      found.patches[1, 4, 1, 2], patch.ravel() / 255, rtol=1e-6
  )


@pytest.fixture(scope='module')
def whole(frames, model, params):
  """Features of all frames at once, CLS first: [B, T, 1 + N, D]."""
  encode = jax.jit(functools.partial(model.apply, method='encode'))
  return encode({'params': params}, jnp.float32(frames) / 255)[0]


# On 2 x 3 patches 49 * 2 scores a frame: chunks of 3, and a rest of 1; or of 1.
@pytest.mark.parametrize('max_scores', [300, 1])
def test_rvm_streams_in_chunks_as_if_at_once(
    max_scores, frames, model, params, whole, monkeypatch
):
  monkeypatch.setattr(streaming, '_MAX_SCORES', max_scores)
  assert np.abs(np.diff(whole[:, :, 1:], axis=1)).min(1).max() > 1e-3
  streamed = encoders.stream('streamed', model, params)
  assert streamed.identity == trees.fingerprint(params)
  found = streamed.encode(frames)
  for array in found:
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
  np.testing.assert_allclose(
      found.patches, whole[:, :, 1:].reshape(2, 7, 2, 3, 16), atol=1e-5
  )
  np.testing.assert_allclose(found.cls, whole[:, :, 0], atol=1e-5)


class Watched(streaming.Encoder):
  """An encoder that remembers what it gave to the devices, and got."""

  seen = []

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self._encode = functools.partial(self._watch, self._encode)

  def _watch(self, encode, params, frames, state):
    result = encode(params, frames, state)
    arrays = *jax.tree.leaves(params), frames, state, result
    self.seen.append((encode._cache_size(), arrays))
    return result


def test_devices_share_the_videos_of_a_batch(
    frames, model, params, monkeypatch
):
  frames = np.concatenate([frames, 255 - frames[:1]])
  monkeypatch.setattr(streaming, '_MAX_SCORES', 300)  # Several chunks.
  one = streaming.Encoder(model, params)(frames)
  monkeypatch.setattr(streaming, 'Encoder', Watched)
  shared = encoders.stream('shared', model, params)
  # A size is one program, also within a run, which has a mesh of its own.
  for batch, is_in_a_run, num_programs in (
      (1, False, 1),
      (1, True, 1),
      (2, False, 1),
      (3, True, 2),
      (2, True, 2),
  ):
    Watched.seen.clear()
    mesh = mesh_lib.make_mesh(1)
    with jax.set_mesh(mesh) if is_in_a_run else contextlib.nullcontext():
      found = shared.encode(frames[:batch])
    np.testing.assert_allclose(found.patches, one.patches[:batch], atol=1e-5)
    np.testing.assert_allclose(found.cls, one.cls[:batch], atol=1e-5)
    assert len(found.cls) == batch and len(Watched.seen) > 1
    devices = jax.devices()[: 1 if batch == 1 else 2]
    share = 2 if batch == 3 else 1
    for num_compiled, (*whole, pixels, state, result) in Watched.seen:
      assert num_compiled == num_programs
      for array in (*whole, pixels, state, result):
        assert [x.device for x in array.addressable_shards] == devices
      assert all(array.is_fully_replicated for array in whole)
      for array in (pixels, state, result):
        assert {len(x.data) for x in array.addressable_shards} == {share}


def test_loads_checkpoints_and_their_untrained_twins():
  trained, untrained = encoders.load(TINY), encoders.load(f'untrained:{TINY}')
  assert trained.name == 'RVM 48 wide'
  assert untrained.name == 'untrained RVM 48 wide'
  model, params = weights.load(TINY)
  assert trained.patch == untrained.patch == model.patch
  assert trained.identity == trees.fingerprint(params) != untrained.identity
  shown = np.zeros((1, 1, 32, 48, 3), np.uint8)
  shown[:, :, :, :20] = 200
  found = untrained.encode(shown)
  assert found.patches.shape == (1, 1, 2, 3, model.width)
  assert found.patches.std(axis=(2, 3)).max() > 0.1  # Not nothing.


def test_names_the_sizes_of_the_paper():
  for size, widths in rvm.SIZES.items():
    assert encoders._name(rvm.RVM(**widths)) == f'RVM-{size}'


@pytest.mark.parametrize(
    'checkpoint', ['raw:', 'raw:x', 'raw:0', 'raw:-8', 'truth:x']
)
def test_refuses_patches_without_a_side(checkpoint):
  with pytest.raises(ValueError, match=f':16, got {checkpoint}'):
    encoders.load(checkpoint)


def test_refuses_frames_that_are_not_uint8_videos(frames, model, params):
  for encoder in (
      encoders.raw_patches(8),
      encoders.stream('streamed', model, params),
  ):
    for wrong in (frames / 255, frames[0], frames[..., :1]):
      with pytest.raises(ValueError, match=r'uint8 \[B, T, H, W, 3\], got'):
        encoder.encode(wrong)
    with pytest.raises(ValueError, match='multiple of the patch side 8'):
      encoder.encode(frames[:, :, :-1])


def test_refuses_models_that_break_the_contract(frames):
  raw = encoders.raw_patches(8)
  good = raw.function(frames)
  cls = good.patches[:, :, 0, 0]
  # Whoever drops the pixels beyond the last whole patch may do so.
  lax = dataclasses.replace(raw, function=lambda _: good._replace(cls=cls))
  lax.encode(np.pad(frames, ((0, 0), (0, 0), (0, 7), (0, 0), (0, 0))))
  for wrong in (
      good._replace(patches=good.patches[:, 1:]),
      good._replace(patches=good.patches[:, :, :, 1:]),
      good._replace(cls=cls[:, 1:]),
  ):
    broken = dataclasses.replace(raw, function=lambda _: wrong)
    with pytest.raises(ValueError, match=r"\[2, 7, 2, 3, 'D'\] and cls"):
      broken.encode(frames)
