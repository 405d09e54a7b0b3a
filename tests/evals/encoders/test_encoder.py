"""The contract of encoders, and `from_apply` with encoders of three kinds."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax import streaming
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.encoders import rvm as rvm_encoder
from rvm_jax.training import mesh as mesh_lib
from tests.evals.encoders import tiny_rvm

FRAMES = tiny_rvm.make_frames()  # [3, 7, 16, 24, 3]
# Means of patches of 8 x 8 pixels, [3, 7, 2, 3, 3].
MEANS = FRAMES.reshape(3, 7, 2, 8, 3, 8, 3).mean((3, 5))


def average_patches(images):
  """Float [..., 16, 24, 3] to [..., 2, 3, 3]."""
  return images.reshape(*images.shape[:-3], 2, 8, 3, 8, 3).mean((-4, -2))


def make_encoder(apply, params=(), **settings):
  return encoder_lib.from_apply(
      'fake', 'fake', 8, apply, params, scaling='none', **settings
  )


@pytest.fixture(params=[2**24, 300], ids=['one part', 'parts of three frames'])
def max_scores(request, monkeypatch):
  """On 2 x 3 patches and two videos a device a frame has 2 * 49 scores."""
  monkeypatch.setattr(streaming, '_MAX_SCORES', request.param)


@pytest.mark.parametrize('batch', [1, 2, 3])
def test_an_image_encoder_treats_every_frame_alone(batch, max_scores):
  def encode_images(params, images):
    patches = params['scale'] * average_patches(images.astype(jnp.float32))
    return encoder_lib.FrameFeatures(patches, patches.sum((1, 2)))

  def apply(params, frames, state):
    features = jax.vmap(encode_images, (None, 1), 1)(params, frames)
    return features, state

  encoder = make_encoder(apply, {'scale': np.float32(0.5)})
  features = encoder.encode(FRAMES[:batch])
  for array in features:
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
  expected = 0.5 * MEANS[:batch]
  np.testing.assert_allclose(features.patches, expected, rtol=1e-5)
  np.testing.assert_allclose(features.cls, expected.sum((2, 3)), rtol=1e-5)


@pytest.mark.parametrize('clip_length', [3, 7, 16])
def test_a_clip_encoder_gets_clips_of_one_length(clip_length, max_scores):
  def apply(params, frames, state):
    assert frames.shape[1] == clip_length
    patches = average_patches(frames.astype(jnp.float32))
    mean = patches.mean(1, keepdims=True)
    return encoder_lib.FrameFeatures(patches - mean, None), state

  encoder = make_encoder(apply, clip_length=clip_length)
  found = encoder.encode(FRAMES).patches
  # The last clip is filled up with the last frame.
  filled = MEANS[:, np.minimum(np.arange(21), 6)]
  for start in range(0, 7, clip_length):
    clip = filled[:, start : start + clip_length]
    stop = min(start + clip_length, 7)
    np.testing.assert_allclose(
        found[:, start:stop],
        (clip - clip.mean(1, keepdims=True))[:, : stop - start],
        atol=1e-3,
    )


@pytest.mark.parametrize('batch', [1, 3])
def test_a_recurrent_encoder_carries_its_state_through_a_video(
    batch, max_scores
):
  def apply(params, frames, state):
    sums = state['sum'][:, None] + jnp.cumsum(
        average_patches(frames.astype(jnp.float32)), 1
    )
    return encoder_lib.FrameFeatures(sums, None), {'sum': sums[:, -1]}

  def init_state(batch, height, width):
    return {'sum': jnp.zeros((batch, height // 8, width // 8, 3))}

  encoder = make_encoder(apply, init_state=init_state)
  expected = MEANS[:batch].cumsum(1)
  for _ in range(2):  # Nothing is left of an earlier call.
    found = encoder.encode(FRAMES[:batch]).patches
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_half_precision_features_become_float32():
  def apply(params, frames, state):
    patches = average_patches(frames.astype(jnp.bfloat16))
    return encoder_lib.FrameFeatures(patches, None), state

  assert make_encoder(apply).encode(FRAMES).patches.dtype == np.float32


def test_devices_share_the_videos_of_a_batch(monkeypatch):
  monkeypatch.setattr(streaming, '_MAX_SCORES', 300)  # Several parts.
  model, params = tiny_rvm.MODEL, tiny_rvm.make_params()
  alone = streaming.Encoder(model, params)(FRAMES)  # On one device.
  shared = rvm_encoder.from_model('shared', model, params)
  apply, calls = shared.function._apply, []

  def watch(*inputs):
    result = apply(*inputs)
    calls.append((apply._cache_size(), *inputs, result))
    return result

  shared.function._apply = watch
  # A size is one program, also within a run, which has a mesh of its own.
  for batch, is_in_a_run, num_programs in (
      (1, False, 1),
      (1, True, 1),
      (2, False, 2),
      (3, True, 3),
      (2, True, 3),
  ):
    calls.clear()
    mesh = mesh_lib.make_mesh(1)
    with jax.set_mesh(mesh) if is_in_a_run else contextlib.nullcontext():
      found = shared.encode(FRAMES[:batch])
    np.testing.assert_allclose(found.patches, alone.patches[:batch], atol=1e-5)
    np.testing.assert_allclose(found.cls, alone.cls[:batch], atol=1e-5)
    assert len(found.cls) == batch and len(calls) > 1
    devices = jax.devices()[: 1 if batch == 1 else 2]
    share = 2 if batch == 3 else 1
    for num_compiled, whole, *split in calls:
      assert num_compiled == num_programs
      for array in jax.tree.leaves((whole, split)):
        assert [x.device for x in array.addressable_shards] == devices
      for array in jax.tree.leaves(whole):
        assert array.is_fully_replicated
      for array in jax.tree.leaves(split):
        assert {len(x.data) for x in array.addressable_shards} == {share}


def test_frames_that_are_not_uint8_videos_are_refused():
  for encoder in (
      pixels.make(8),
      rvm_encoder.from_model('any', tiny_rvm.MODEL, tiny_rvm.make_params()),
  ):
    for wrong in (FRAMES / 255, FRAMES[0], FRAMES[..., :1], FRAMES[:, :0]):
      with pytest.raises(ValueError, match=r'uint8 \[B, T, H, W, 3\], got'):
        encoder.encode(wrong)
    with pytest.raises(ValueError, match='multiple of the patch side 8'):
      encoder.encode(FRAMES[:, :, :-1])


def test_encoders_that_break_the_contract_are_refused():
  encoder = pixels.make(8)
  good = encoder.function(FRAMES)
  cls = good.patches[:, :, 0, 0]
  # An encoder may drop the pixels beyond the last whole patch.
  lax = dataclasses.replace(encoder, function=lambda _: good._replace(cls=cls))
  lax.encode(np.pad(FRAMES, ((0, 0), (0, 0), (0, 7), (0, 0), (0, 0))))
  for wrong in (
      good._replace(patches=good.patches[:, 1:]),
      good._replace(patches=good.patches[:, :, :, 1:]),
      good._replace(cls=cls[:, 1:]),
  ):
    broken = dataclasses.replace(encoder, function=lambda _, x=wrong: x)
    with pytest.raises(ValueError, match=r"\[3, 7, 2, 3, 'D'\] and cls"):
      broken.encode(FRAMES)
