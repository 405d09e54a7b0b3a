"""Tests that the exported step gives the released features on its own."""

import functools

import jax
from jax import export as jax_export
import numpy as np
import pytest
from safetensors import numpy as safetensors

from rvm_jax import weights
from rvm_jax.export import stablehlo


@pytest.fixture(scope='module')
def golden(golden_io):
  return dict(np.load(golden_io))


def load_step(folder):
  """Loads an export as the docstring of `stablehlo` says.

  Returns:
    The program, and a function (frame, state) -> state that calls it.
  """
  data = (folder / 'step.stablehlo').read_bytes()
  program = jax_export.deserialize(bytearray(data))
  params = safetensors.load_file(folder / 'params.safetensors')
  return program, lambda *args: jax.jit(program.call)(params, *args)


def stream(step, frames, state):
  """Returns the states after frames [T, B, H, W, 3]: [T, B, 1 + N, D]."""
  features = []
  # The first state is placed like the later ones, so that the step compiles
  # only once.
  state = jax.device_put(state, jax.devices()[0])
  for frame in frames:
    state = step(frame, state)
    features.append(state)
  return np.stack(features)


def test_step_of_any_size_gives_the_released_features(
    tmp_path, golden, tiny, run
):
  out = tmp_path / 'out'
  assert run(tiny, '--to', 'stablehlo', '--out', out) == 0
  assert sorted(p.name for p in out.iterdir()) == [
      'params.safetensors',
      'step.stablehlo',
  ]
  program, step = load_step(out)
  assert program.platforms == ('cpu', 'cuda', 'tpu')
  state = np.zeros((2, 25, 48), np.float32)
  found = stream(step, golden['source'].swapaxes(0, 1), state)
  np.testing.assert_allclose(
      found.swapaxes(0, 1), golden['features'], rtol=0, atol=1e-5
  )
  state = np.zeros((1, 324, 48), np.float32)
  found = stream(step, golden['stream_video'][:, None], state)
  np.testing.assert_allclose(
      found[:, 0], golden['stream_features'], rtol=0, atol=1e-5
  )
  with pytest.raises(ValueError, match='Division had remainder 15'):
    step(np.zeros((1, 15, 16, 3), np.float32), state[:, :2])
  weights.load(out / 'params.safetensors')


def test_step_of_one_size_takes_no_other(tmp_path, small, run):
  path, model, params = small
  out = tmp_path / 'out'
  sizes = ('--batch', 1, '--height', 8, '--width', 12, '--uint8')
  assert run(path, '--to', 'stablehlo', '--out', out, *sizes) == 0
  program, step = load_step(out)
  *_, frame, state = program.in_avals
  assert (frame.shape, frame.dtype) == ((1, 8, 12, 3), np.uint8)
  assert (state.shape, state.dtype) == ((1, 7, 8), np.float32)
  rng = np.random.default_rng(0)
  frame = rng.integers(0, 256, (1, 8, 12, 3), np.uint8)
  state = rng.random((1, 7, 8), np.float32)
  encode = jax.jit(functools.partial(model.apply, method='encode'))
  frames = np.float32(frame)[:, None] / 255
  expected, _ = encode({'params': params}, frames, state)
  np.testing.assert_allclose(step(frame, state), expected[:, 0], atol=1e-5)
  with pytest.raises(ValueError, match='Shape mismatch'):
    step(np.concatenate([frame, frame]), np.concatenate([state, state]))


def test_step_with_other_features_is_not_written(
    tmp_path, monkeypatch, small, run
):
  step = stablehlo._step
  monkeypatch.setattr(stablehlo, '_step', lambda *args: step(*args) + 2e-4)
  out = tmp_path / 'out'
  with pytest.raises(RuntimeError, match='does not reproduce our features'):
    run(small[0], '--to', 'stablehlo', '--out', out, '--height', 8)
  assert not list(tmp_path.iterdir())
