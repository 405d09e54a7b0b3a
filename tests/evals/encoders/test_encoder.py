"""Tests `FrozenEncoder`, and `from_apply` with the three kinds of encoders."""

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
# Mean colours of the patches of 8 x 8 pixels, [3, 7, 2, 3, 3].
MEANS = FRAMES.reshape(3, 7, 2, 8, 3, 8, 3).mean((3, 5))


def average_patches(images):
  """Returns mean colours of patches, [..., 2, 3, 3], of [..., 16, 24, 3]."""
  return images.reshape(*images.shape[:-3], 2, 8, 3, 8, 3).mean((-4, -2))


def make_encoder(apply, params=(), **settings):
  """Returns an encoder with patches of 8 x 8 pixels."""
  return encoder_lib.from_apply(
      'fake', 'fake', 8, apply, params, scaling='none', **settings
  )


@pytest.fixture(params=[2**24, 300], ids=['one part', 'parts of three frames'])
def max_scores(request, monkeypatch):
  """Limits the number of attention scores, which decides the length of parts.

  A frame has 1 + 2 * 3 tokens and so 49 scores for each video. A device encodes
  up to two videos at once, so that 300 scores allow parts of three frames.
  """
  monkeypatch.setattr(streaming, '_MAX_SCORES', request.param)


@pytest.mark.parametrize('batch', [1, 2, 3])
def test_image_encoder_encodes_every_frame_independently(batch, max_scores):
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
def test_clip_encoder_always_gets_clip_length_frames(clip_length, max_scores):
  def apply(params, frames, state):
    assert frames.shape[1] == clip_length
    patches = average_patches(frames.astype(jnp.float32))
    mean = patches.mean(1, keepdims=True)
    return encoder_lib.FrameFeatures(patches - mean, None), state

  encoder = make_encoder(apply, clip_length=clip_length)
  found = encoder.encode(FRAMES).patches
  # The last clip is padded with copies of the last frame.
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
def test_recurrent_encoder_passes_its_state_from_part_to_part(
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
  # The second call starts from the initial state again.
  for _ in range(2):
    found = encoder.encode(FRAMES[:batch]).patches
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_half_precision_features_become_float32():
  def apply(params, frames, state):
    patches = average_patches(frames.astype(jnp.bfloat16))
    return encoder_lib.FrameFeatures(patches, None), state

  assert make_encoder(apply).encode(FRAMES).patches.dtype == np.float32


def test_devices_share_the_videos_of_a_batch(monkeypatch):
  monkeypatch.setattr(streaming, '_MAX_SCORES', 300)  # Parts of three frames.
  model, params = tiny_rvm.MODEL, tiny_rvm.make_params()
  # The expected features are computed on one device.
  expected = streaming.Encoder(model, params)(FRAMES)

  # Record each call of the compiled program: how many programs there are after
  # it, its inputs and its outputs.
  shared = rvm_encoder.from_model('shared', model, params)
  apply, calls = shared.function._apply, []

  def record_call(*inputs):
    result = apply(*inputs)
    calls.append((apply._cache_size(), *inputs, result))
    return result

  shared.function._apply = record_call

  # Each batch size is compiled once, also when a training run has set a mesh of
  # its own.
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
    np.testing.assert_allclose(
        found.patches, expected.patches[:batch], atol=1e-5
    )
    np.testing.assert_allclose(found.cls, expected.cls[:batch], atol=1e-5)
    assert len(found.cls) == batch and len(calls) > 1

    # Parameters are replicated on the devices; inputs and outputs are split.
    devices = jax.devices()[: 1 if batch == 1 else 2]
    share = 2 if batch == 3 else 1
    for num_compiled, on_all, *split in calls:
      assert num_compiled == num_programs
      for array in jax.tree.leaves((on_all, split)):
        assert [x.device for x in array.addressable_shards] == devices
      for array in jax.tree.leaves(on_all):
        assert array.is_fully_replicated
      for array in jax.tree.leaves(split):
        assert {len(x.data) for x in array.addressable_shards} == {share}


def test_encode_rejects_frames_that_are_not_uint8_videos():
  for encoder in (
      pixels.make(8),
      rvm_encoder.from_model('any', tiny_rvm.MODEL, tiny_rvm.make_params()),
  ):
    for wrong in (FRAMES / 255, FRAMES[0], FRAMES[..., :1], FRAMES[:, :0]):
      with pytest.raises(ValueError, match=r'3\] with no axis of size 0, got'):
        encoder.encode(wrong)
    with pytest.raises(ValueError, match='multiple of the patch side 8'):
      encoder.encode(FRAMES[:, :, :-1])


def test_encode_rejects_features_of_wrong_shape():
  encoder = pixels.make(8)
  good = encoder.function(FRAMES)
  cls = good.patches[:, :, 0, 0]
  # An encoder may ignore the pixels beyond the last whole patch.
  cropping = dataclasses.replace(
      encoder, function=lambda _: good._replace(cls=cls)
  )
  cropping.encode(np.pad(FRAMES, ((0, 0), (0, 0), (0, 7), (0, 0), (0, 0))))
  for wrong in (
      good._replace(patches=good.patches[:, 1:]),
      good._replace(patches=good.patches[:, :, :, 1:]),
      good._replace(cls=cls[:, 1:]),
  ):
    broken = dataclasses.replace(encoder, function=lambda _, x=wrong: x)
    with pytest.raises(ValueError, match=r"\[3, 7, 2, 3, 'D'\] and cls"):
      broken.encode(FRAMES)
