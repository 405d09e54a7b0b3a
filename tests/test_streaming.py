"""The public API encodes video of any length, frame by frame or at once."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rvm_jax
from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.weights import trees

DATA = pathlib.Path(__file__).parent / 'golden'
TINY = DATA / 'rvm_tiny_params.npz'


@pytest.fixture(scope='module')
def encoder():
  return rvm_jax.load(TINY)


@pytest.fixture(scope='module')
def video():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (2, 7, 32, 48, 3), np.uint8)


def test_call_reproduces_the_golden_stream(encoder):
  golden = np.load(DATA / 'rvm_tiny_io.npz')
  found = encoder(golden['stream_video'])
  expected = golden['stream_features']
  np.testing.assert_allclose(found.cls, expected[:, 0], atol=1e-5)
  np.testing.assert_allclose(
      found.patches, expected[:, 1:].reshape(3, 17, 19, -1), atol=1e-5
  )
  np.testing.assert_allclose(found.state, golden['stream_state'], atol=1e-5)


@pytest.mark.parametrize('chunk', [1, 3, 16])
def test_call_equals_steps_frame_by_frame(encoder, video, chunk):
  whole = streaming.Encoder(encoder.model, encoder.params, chunk=chunk)(video)
  state = encoder.init(2, 32, 48)
  for t in range(video.shape[1]):
    step, state = encoder.step(video[:, t], state)
    np.testing.assert_allclose(whole.patches[:, t], step.patches, atol=2e-5)
    np.testing.assert_allclose(whole.cls[:, t], step.cls, atol=2e-5)
    assert step.state is state
  np.testing.assert_allclose(whole.state, state, atol=2e-5)
  assert whole.patches.shape[:4] == (2, 7, 32 // 16, 48 // 16)


def test_call_continues_a_video_from_its_state(encoder, video):
  whole = encoder(video[0])
  first = encoder(video[0, :3])
  rest = encoder(video[0, 3:], first.state)
  np.testing.assert_allclose(
      np.concatenate([first.patches, rest.patches]), whole.patches, atol=2e-5
  )
  assert whole.patches.ndim == 4 and whole.state.shape[0] == 1


def test_call_gives_the_same_features_of_uint8_and_float_frames(encoder, video):
  np.testing.assert_allclose(
      encoder(video).cls, encoder(np.float32(video) / 255).cls, atol=1e-5
  )


def test_reset_forgets_one_video_and_keeps_the_other(encoder, video):
  _, before = encoder.step(video[:, 0], encoder.init(2, 32, 48))
  reset = np.array([True, False])
  found, _ = encoder.step(video[:, 1], before, reset)
  fresh, _ = encoder.step(video[:, 1], encoder.init(2, 32, 48))
  kept, _ = encoder.step(video[:, 1], before)
  np.testing.assert_allclose(found.patches[0], fresh.patches[0], atol=1e-6)
  np.testing.assert_allclose(found.patches[1], kept.patches[1], atol=1e-6)
  assert np.abs(fresh.patches - kept.patches).max((1, 2, 3)).min() > 1e-3


def test_step_compiles_once_for_each_shape(encoder, video):
  fresh = streaming.Encoder(encoder.model, encoder.params)
  state = fresh.init(2, 32, 48)
  for t in range(3):
    reset = np.array([True, False]) if t == 1 else None
    _, state = fresh.step(video[:, t], state, reset)
  assert fresh._encode._cache_size() == 1


def test_mesh_splits_a_batch_over_its_devices(encoder, video):
  mesh = jax.make_mesh(
      (2,), ('batch',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  shared = streaming.Encoder(encoder.model, encoder.params, chunk=3, mesh=mesh)
  for leaf in jax.tree.leaves(shared.params):
    assert leaf.is_fully_replicated and len(leaf.addressable_shards) == 2
  with jax.set_mesh(mesh):
    found, state = shared(video), shared.init(2, 32, 48)
    for t in range(2):
      step, state = shared.step(video[:, t], state)
    with pytest.raises(ValueError, match='multiple of the 2 devices.* got 1'):
      shared(video[0])
  expected = encoder(video)
  np.testing.assert_allclose(found.patches, expected.patches, atol=1e-5)
  np.testing.assert_allclose(found.cls, expected.cls, atol=1e-5)
  np.testing.assert_allclose(step.cls, expected.cls[:, 1], atol=2e-5)
  for array in found.state, state:
    assert [x.data.shape for x in array.addressable_shards] == [(1, 7, 48)] * 2
  # One compiled program for a chunk, one for a step.
  assert shared._encode._cache_size() == 2


def test_chunk_is_chosen_by_the_videos_of_one_device(
    encoder, video, monkeypatch
):
  asked = []

  def choose(batch, num_tokens):
    asked.append((batch, num_tokens))
    return 16

  monkeypatch.setattr(streaming, 'choose_chunk', choose)
  mesh = jax.sharding.Mesh(np.array(jax.devices()), ('batch',))
  with jax.set_mesh(mesh):
    streaming.Encoder(encoder.model, encoder.params, mesh=mesh)(video)
  assert asked == [(1, 7)]


def test_bfloat16_products_give_float32_features_close_to_float32(
    encoder, video
):
  half = rvm_jax.load(TINY, dtype='bfloat16')
  found, expected = half(video), encoder(video)
  assert found.patches.dtype == np.float32 and found.state.dtype == jnp.float32
  error = np.abs(found.patches - expected.patches).max()
  assert 1e-5 < error < 0.3 * np.abs(expected.patches).max()


def test_load_reads_a_file_and_refuses_paths_without_a_checkpoint(
    tmp_path, encoder
):
  path = tmp_path / 'weights.npz'
  weights.save_npz(path, encoder.params)
  assert trees.fingerprint(rvm_jax.load(path).params) == trees.fingerprint(
      encoder.params
  )
  with pytest.raises(FileNotFoundError, match='no checkpoint of a run'):
    rvm_jax.load(tmp_path)
  with pytest.raises(FileNotFoundError):
    rvm_jax.load(tmp_path / 'nothing.npz')


@pytest.mark.parametrize(
    'frames, message',
    [
        (np.zeros((3, 32, 40, 3), np.uint8), 'multiple of the patch side 16'),
        (np.zeros((3, 32, 48), np.uint8), r'video must be \[time'),
        (np.zeros((0, 32, 48, 3), np.uint8), 'at least one frame'),
        (np.zeros((3, 32, 48, 4), np.uint8), '3 channels'),
        (np.zeros((3, 32, 48, 3), np.int32), 'uint8, or floats'),
        (np.full((3, 32, 48, 3), 255.0), 'divide by 255'),
        (np.full((3, 32, 48, 3), np.nan), 'divide by 255'),
    ],
)
def test_call_refuses_frames_of_another_shape_dtype_or_range(
    encoder, frames, message
):
  with pytest.raises(ValueError, match=message):
    encoder(frames)


def test_step_refuses_state_and_reset_that_do_not_fit_the_frame(encoder, video):
  state = encoder.init(2, 32, 48)
  with pytest.raises(ValueError, match='state must be float32 of the shape'):
    encoder.step(video[:1, 0], state)
  with pytest.raises(ValueError, match='reset must be bool'):
    encoder.step(video[:, 0], state, np.array([1, 0]))
  with pytest.raises(ValueError, match='frame must be'):
    encoder.step(video, state)


def test_encoder_refuses_a_chunk_without_frames(encoder):
  with pytest.raises(ValueError, match='chunk must be at least 1'):
    streaming.Encoder(encoder.model, encoder.params, chunk=0)


def test_choose_chunk_limits_the_attention_scores_of_large_frames():
  assert streaming.choose_chunk(1, 257) == 16
  # One frame of 1088 x 1920 pixels is above the limit by itself.
  assert streaming.choose_chunk(1, 1 + 68 * 120) == 1
  for batch, num_tokens in ((1, 1025), (1, 1651), (4, 1025)):
    chunk = streaming.choose_chunk(batch, num_tokens)
    scores_of_a_frame = batch * num_tokens**2
    assert chunk * scores_of_a_frame <= 2**24 < (chunk + 1) * scores_of_a_frame
