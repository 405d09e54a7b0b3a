"""RVM against the released code, and what its outputs depend on."""

import functools
import json
import pathlib

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.models import rvm
from rvm_jax.ops import patches

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
TINY = dict(
    width=24,
    encoder_layers=2,
    encoder_heads=2,
    encoder_mlp=32,
    core_layers=1,
    core_heads=3,
    core_mlp=40,
    decoder_width=16,
    decoder_layers=2,
    decoder_heads=4,
    decoder_mlp=32,
)


@pytest.fixture(scope='module')
def golden():
  model, params = weights.load(GOLDEN / 'rvm_tiny_params.npz')
  io = dict(np.load(GOLDEN / 'rvm_tiny_io.npz'))
  shown = [[np.flatnonzero(m == 0) for m in clip] for clip in io['mask']]
  return model, {'params': params}, io, np.asarray(shown, np.int32)


@pytest.fixture(scope='module')
def tiny():
  """A random model, its variables and a batch for it."""
  model = rvm.RVM(**TINY)
  rng = np.random.default_rng(0)
  batch = (
      rng.random((2, 4, 32, 48, 3), np.float32),
      rng.random((2, 3, 32, 48, 3), np.float32),
      np.array([[4, 9, 51], [63, 0, 7]], np.int32),
      np.array([[[0, 5], [2, 3], [1, 4]]] * 2, np.int32),
  )
  return model, jax.jit(model.init)(jax.random.key(0), *batch), batch


def apply(model, *args):
  return jax.jit(model.apply)(*args)


def encode(model, *args):
  return jax.jit(functools.partial(model.apply, method='encode'))(*args)


def test_features_equal_the_released_code(golden):
  model, variables, io, _ = golden
  features, state = encode(model, variables, io['source'])
  np.testing.assert_allclose(features, io['features'], rtol=0, atol=1e-5)
  np.testing.assert_allclose(state, io['state'], rtol=0, atol=1e-5)


def test_pixels_equal_the_released_code(golden):
  model, variables, io, visible = golden
  batch = (io['source'], io['target'], io['deltas'], visible)
  pixels = apply(model, variables, *batch)
  assert pixels.dtype == jnp.float32
  np.testing.assert_allclose(pixels, io['reconstructed'], rtol=0, atol=1e-5)


def test_streaming_on_another_grid_equals_the_released_code(golden):
  model, variables, io, _ = golden
  state = None
  for frame, expected in zip(io['stream_video'], io['stream_features']):
    features, state = encode(model, variables, frame[None, None], state)
    np.testing.assert_allclose(features[0, 0], expected, rtol=0, atol=1e-5)
  np.testing.assert_allclose(state, io['stream_state'], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    'size, name, count',
    [
        ('S', 'small', 67_480_448),
        ('B', 'base', 160_270_848),
        ('L', 'large', 409_069_824),
        ('H', 'huge', 776_895_488),
    ],
)
def test_parameters_have_the_released_shapes(size, name, count):
  model = rvm.RVM(**rvm.SIZES[size])
  frames = jax.ShapeDtypeStruct((1, 4, 256, 256, 3), jnp.float32)
  deltas = jax.ShapeDtypeStruct((1, 4), jnp.int32)
  visible = jax.ShapeDtypeStruct((1, 4, 12), jnp.int32)
  variables = jax.eval_shape(
      model.init, jax.random.key(0), frames, frames, deltas, visible
  )
  shapes = {
      key: list(leaf.shape)
      for key, leaf in traverse_util.flatten_dict(
          variables['params'], sep='/'
      ).items()
  }
  assert shapes == json.loads(
      (GOLDEN / f'released_shapes_{name}.json').read_text()
  )
  assert sum(int(np.prod(shape)) for shape in shapes.values()) == count


def test_video_can_be_encoded_in_two_parts(tiny):
  model, variables, (source, *_) = tiny
  whole, last = encode(model, variables, source)
  first, state = encode(model, variables, source[:, :1])
  rest, end = encode(model, variables, source[:, 1:], state)
  np.testing.assert_allclose(
      jnp.concatenate([first, rest], 1), whole, rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(end, last, rtol=0, atol=1e-5)
  np.testing.assert_array_equal(whole[:, -1], last)


def test_features_do_not_depend_on_later_frames(tiny):
  model, variables, (source, *_) = tiny

  def past(x):
    return model.apply(variables, x, method='encode')[0][:, 1].sum()

  gradient = jax.jit(jax.grad(past))(source)
  assert (gradient[:, 2:] == 0).all()
  assert (abs(gradient[:, :2]).max((2, 3, 4)) > 0).all()


def test_uint8_frames_are_taken_as_floats_are(tiny):
  model, variables, (source, target, *rest) = tiny
  source, target = ((255 * x).astype(np.uint8) for x in (source, target))
  scaled = (x.astype(np.float32) / 255 for x in (source, target))
  np.testing.assert_allclose(
      apply(model, variables, source, target, *rest),
      apply(model, variables, *scaled, *rest),
      rtol=0,
      atol=1e-6,
  )


def test_predicted_patches_are_those_of_the_pixels(tiny):
  model, variables, batch = tiny
  predict = functools.partial(model.apply, method='predict_patches')
  np.testing.assert_allclose(
      jax.jit(predict)(variables, *batch),
      patches.patchify(apply(model, variables, *batch), model.patch),
      rtol=0,
      atol=1e-6,
  )


def test_pixels_do_not_depend_on_hidden_patches(tiny):
  model, variables, (source, target, deltas, visible) = tiny
  gradient = jax.jit(
      jax.grad(
          lambda x: model.apply(variables, source, x, deltas, visible).sum()
      )
  )(target)
  # Target 0 shows patches 0 and 5 of a grid of 2 x 3.
  assert (abs(gradient[:, 0, :16, :16]).max((1, 2, 3)) > 0).all()
  assert (gradient[:, 0, :16, 16:] == 0).all()
  assert (gradient[:, 0, 16:, :32] == 0).all()


def test_pixels_of_a_target_do_not_depend_on_other_targets(tiny):
  model, variables, (source, target, deltas, visible) = tiny
  call = jax.jit(model.apply)
  together = call(variables, source, target, deltas, visible)
  for k in range(target.shape[1]):
    one = slice(k, k + 1)
    alone = call(
        variables, source, target[:, one], deltas[:, one], visible[:, one]
    )
    np.testing.assert_allclose(together[:, one], alone, rtol=0, atol=1e-5)


def test_pixels_do_not_depend_on_the_order_of_visible_patches(tiny):
  model, variables, (source, target, deltas, visible) = tiny
  call = jax.jit(model.apply)
  a = call(variables, source, target, deltas, visible)
  b = call(variables, source, target, deltas, visible[..., ::-1])
  np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize('remat', ['dots', 'full'])
def test_remat_changes_neither_values_nor_gradients(tiny, remat):
  model, variables, batch = tiny

  def value_and_grad(m):
    def loss(v):
      return jnp.square(m.apply(v, *batch)).mean()

    return jax.jit(jax.value_and_grad(loss))(variables)

  expected = value_and_grad(model)
  found = value_and_grad(rvm.RVM(**TINY, remat=remat))
  jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
      found,
      expected,
  )


def test_bfloat16_keeps_parameters_and_state_in_float32(golden):
  model, variables, io, visible = golden
  half = model.copy(dtype='bfloat16')
  features, state = encode(half, variables, io['source'])
  assert features.dtype == state.dtype == jnp.float32
  assert 1e-4 < abs(features - io['features']).max() < 0.2
  batch = (io['source'], io['target'], io['deltas'], visible)
  created = jax.eval_shape(half.init, jax.random.key(0), *batch)
  assert {x.dtype for x in jax.tree.leaves(created)} == {jnp.dtype('float32')}


def test_bad_inputs_are_refused_with_what_is_wrong(tiny):
  model, variables, (source, target, deltas, visible) = tiny
  call = functools.partial(model.apply, variables)
  encode_frames = functools.partial(call, method='encode')
  with pytest.raises(ValueError, match='height must be a positive multiple'):
    encode_frames(source[:, :, :20])
  with pytest.raises(ValueError, match='must be uint8, or floats .* got int32'):
    encode_frames((source * 255).astype(np.int32))
  with pytest.raises(ValueError, match=r'source must be \[batch, time'):
    call(source[:, 0], target, deltas, visible)
  with pytest.raises(ValueError, match=r'\[batch, time, height'):
    encode_frames(source[0])
  with pytest.raises(ValueError, match='state must be float32 of the shape'):
    encode_frames(source, np.zeros((2, 5, 24), np.float32))
  with pytest.raises(ValueError, match=r'deltas must lie in 0..63, got .*64'):
    call(source, target, deltas + 1, visible)
  with pytest.raises(ValueError, match='deltas must have the shape'):
    call(source, target, deltas[:, :1], visible)
  with pytest.raises(ValueError, match='visible must hold integers'):
    call(source, target, deltas, visible.astype(np.float32))
  with pytest.raises(ValueError, match='encoder_heads=5 must divide'):
    rvm.RVM(**TINY | dict(encoder_heads=5)).init(
        jax.random.key(0), source, target, deltas, visible
    )
  with pytest.raises(ValueError, match='remat must be one of'):
    rvm.RVM(**TINY, remat='some').init(
        jax.random.key(0), source, target, deltas, visible
    )


def test_delta_out_of_range_is_not_silent_under_jit(tiny):
  model, variables, (source, target, deltas, visible) = tiny
  pixels = apply(model, variables, source, target, deltas + 1, visible)
  assert np.isnan(pixels[1, 0]).all()  # 63 + 1
  assert np.isfinite(pixels[0]).all()
