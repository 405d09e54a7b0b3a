"""Exports are what the released code computes, run without this project."""

import functools
import importlib.util
import pathlib
import pickle
import subprocess
import sys

import jax
from jax import export as jax_export
import numpy as np
import pytest
from safetensors import numpy as safetensors

from rvm_jax import weights
from rvm_jax.export import __main__ as export
from rvm_jax.export import pytorch
from rvm_jax.export import stablehlo
from rvm_jax.models import rvm
from rvm_jax.weights import released
from tests.weights import scratch

GOLDEN = pathlib.Path(__file__).parent / 'golden'
TINY = GOLDEN / 'rvm_tiny_params.npz'
FORMATS = ('npz', 'safetensors', 'stablehlo', 'torch')

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec('torch') is None, reason='needs PyTorch'
)


@pytest.fixture(scope='module')
def golden():
  return dict(np.load(GOLDEN / 'rvm_tiny_io.npz'))


@pytest.fixture(scope='module')
def small(tmp_path_factory):
  """A file of encoder and core only: what compiles fast."""
  model = rvm.RVM(
      width=8,
      patch=4,
      encoder_layers=1,
      encoder_heads=2,
      encoder_mlp=8,
      core_layers=1,
      core_heads=2,
      core_mlp=8,
      decoder_layers=0,
  )
  rng = np.random.default_rng(0)
  params = jax.tree.map(
      lambda x: rng.standard_normal(x.shape, np.float32),
      released.shapes(model),
  )
  path = tmp_path_factory.mktemp('small') / 'small.npz'
  weights.save_npz(path, params)
  return path, model, params


def run(*arguments):
  return export.main([str(argument) for argument in arguments])


def without_decoder(keys):
  return {k for k in keys if k.split('/')[0] not in released.DECODER_PARTS}


def test_a_run_becomes_either_file_with_the_same_bits(tmp_path, capsys):
  scratch.save_run(tmp_path / 'run', *weights.load(TINY))
  path = tmp_path / 'run'
  for to in ('safetensors', 'npz'):
    out = tmp_path / f'out.{to}'
    assert run(path, '--to', to, '--out', out) == 0
    assert 'encoder, core, decoder; read back' in capsys.readouterr().out
    path = out
  expected, found = dict(np.load(TINY)), dict(np.load(path))
  assert found.keys() == expected.keys()
  assert all(found[k].tobytes() == expected[k].tobytes() for k in expected)


def test_encoder_and_core_only_is_said(tmp_path, capsys, small):
  path, *_ = small
  out = tmp_path / 'out.npz'
  assert run(path, '--to', 'npz', '--out', out) == 0
  assert 'encoder and core only; read back' in capsys.readouterr().out
  assert np.load(out).files == np.load(path).files


def load_step(folder):
  """As the docstring of the format says."""
  data = (folder / 'step.stablehlo').read_bytes()
  program = jax_export.deserialize(bytearray(data))
  params = safetensors.load_file(folder / 'params.safetensors')
  return program, lambda *args: jax.jit(program.call)(params, *args)


def stream(step, frames, state):
  features = []
  state = jax.device_put(state, jax.devices()[0])  # Compiles only once.
  for frame in frames:
    state = step(frame, state)
    features.append(state)
  return np.stack(features)


def test_a_step_of_any_size_gives_the_released_features(tmp_path, golden):
  out = tmp_path / 'out'
  assert run(TINY, '--to', 'stablehlo', '--out', out) == 0
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


def test_a_step_of_one_size_takes_no_other(tmp_path, small):
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


# Runs in a folder with the two files alone, without this project.
USE_TORCH = """
import sys
import numpy as np
import rvm_torch
import torch

io, params, found = np.load(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3]
model = rvm_torch.load('state_dict.pt')
for name, tensor in model.state_dict().items():
  array = params[name.replace('.', '/')]
  assert tensor.numpy().tobytes() == array.tobytes(), name
  assert tensor.shape == array.shape, name
with torch.inference_mode():
  features, state = model(torch.from_numpy(io['source']))
  video = torch.from_numpy(io['stream_video'])[None]
  first, carried = model(video[:, :1])
  rest, _ = model(video[:, 1:], carried)
  pixels = torch.randint(0, 256, (1, 1, 32, 32, 3), dtype=torch.uint8)
  assert torch.equal(model(pixels)[1], model(pixels.float() / 255)[1])
try:
  model(video[:, :, :20])
except ValueError as error:
  print(error)
np.savez(
    found,
    names=np.array(sorted(model.state_dict())),
    features=features.numpy(),
    state=state.numpy(),
    stream_features=torch.cat([first, rest], 1)[0].numpy(),
)
print(*sorted({name.split('.')[0] for name in sys.modules}))
"""


@needs_torch
def test_pytorch_gives_the_released_features(tmp_path, golden):
  out = tmp_path / 'out'
  assert run(TINY, '--to', 'torch', '--out', out) == 0
  assert sorted(p.name for p in out.iterdir()) == [
      'rvm_torch.py',
      'state_dict.pt',
  ]
  io, found = GOLDEN / 'rvm_tiny_io.npz', tmp_path / 'found.npz'
  done = subprocess.run(
      [sys.executable, '-c', USE_TORCH, io, TINY, found],
      cwd=out,
      capture_output=True,
      text=True,
  )
  assert done.returncode == 0, done.stderr
  refused, modules = done.stdout.splitlines()
  assert 'multiples of 16, got 20, 304' in refused
  assert not {'jax', 'flax', 'rvm_jax'} & set(modules.split())
  found = dict(np.load(found))
  names = {name.replace('.', '/') for name in found.pop('names')}
  assert names == without_decoder(np.load(TINY).files)
  for key, array in found.items():
    np.testing.assert_allclose(array, golden[key], rtol=0, atol=1e-5)


@needs_torch
def test_a_pytorch_file_that_computes_something_else_is_not_written(
    tmp_path, monkeypatch
):
  wrong = tmp_path / 'rvm_torch.py'
  text = pathlib.Path(pytorch.MODULE).read_text()
  wrong.write_text(text.replace("approximate='tanh'", "approximate='none'"))
  monkeypatch.setattr(pytorch, 'MODULE', str(wrong))
  monkeypatch.setattr('rvm_jax.export.check.TOLERANCE', 1e-5)
  with pytest.raises(RuntimeError, match='does not reproduce our features'):
    run(TINY, '--to', 'torch', '--out', tmp_path / 'out')
  assert list(tmp_path.iterdir()) == [wrong]


def test_a_step_that_computes_something_else_is_not_written(
    tmp_path, monkeypatch, small
):
  step = stablehlo._step
  monkeypatch.setattr(stablehlo, '_step', lambda *args: step(*args) + 2e-4)
  out = tmp_path / 'out'
  with pytest.raises(RuntimeError, match='does not reproduce our features'):
    run(small[0], '--to', 'stablehlo', '--out', out, '--height', 8)
  assert not list(tmp_path.iterdir())


def test_without_pytorch_the_command_says_what_to_install(
    tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  assert run(TINY, '--to', 'torch', '--out', tmp_path / 'out') == 2
  assert "pip install 'rvm_jax[torch]'" in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


class Payload:
  """Unpickled, it makes a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), 'w')


def test_a_pickle_inside_is_not_executed(tmp_path, capsys):
  trace, path = tmp_path / 'trace', tmp_path / 'bad.npz'
  arrays = dict(np.load(TINY)) | {'cls_token': np.array([Payload(trace)])}
  np.savez(path, **arrays)
  pickle.loads(pickle.dumps(Payload(trace)))
  assert trace.exists(), 'the payload is one'
  trace.unlink()
  assert run(path, '--to', 'npz', '--out', tmp_path / 'out.npz') == 2
  assert 'pickles are refused' in capsys.readouterr().err
  assert not trace.exists()


@pytest.mark.parametrize('kind', ['file', 'folder', 'run', 'nothing'])
def test_what_another_project_wrote_is_refused(tmp_path, capsys, kind):
  path = tmp_path / 'other.npz'
  if kind == 'file':
    np.savez(path, **{'params/head/kernel': np.zeros(3, np.float32)})
  elif kind == 'folder':
    (path / 'checkpoints' / '5' / 'params').mkdir(parents=True)
  elif kind == 'run':  # Our names, and parameters of something else.
    scratch.save_run(path, weights.load(TINY)[0], {'head': np.zeros(3)})
  assert run(path, '--to', 'npz', '--out', tmp_path / 'out.npz') == 2
  assert 'other.npz' in capsys.readouterr().err
  assert not (tmp_path / 'out.npz').exists()


@pytest.mark.parametrize('to', FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path, capsys, to):
  if to == 'torch' and not importlib.util.find_spec('torch'):
    pytest.skip('needs PyTorch')
  out = tmp_path / f'out.{to}'
  with scratch.full_disk(100_000):
    assert run(TINY, '--to', to, '--out', out) == 2
  assert f'cannot be written: File too large: {str(out)!r}' in (
      capsys.readouterr().err
  )
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('to', FORMATS[:3])
def test_an_output_that_cannot_be_is_named(tmp_path, capsys, to):
  (tmp_path / f'there.{to}').write_text('kept')
  (tmp_path / 'file').touch()
  for name, why in (
      (f'there.{to}', 'is not replaced'),
      (f'nowhere/out.{to}', 'No such file or directory'),
      (f'file/out.{to}', 'Not a directory'),
  ):
    assert run(TINY, '--to', to, '--out', tmp_path / name) == 2
    error = capsys.readouterr().err
    assert why in error and name in error
  assert (tmp_path / f'there.{to}').read_text() == 'kept'
  assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--to', 'npz', '--out', 'a.pt'], 'must end with .npz'),
        (['--to', 'npz', '--batch', '2'], 'are for --to stablehlo'),
        (['--to', 'stablehlo', '--batch', '0'], 'must be at least 1'),
        (['--to', 'onnx'], 'invalid choice'),
    ],
)
def test_wrong_arguments_say_what_is_wrong(capsys, arguments, message):
  with pytest.raises(SystemExit, match='2'):
    run(TINY, *arguments)
  assert message in capsys.readouterr().err


def test_a_height_that_is_no_multiple_of_the_patch(tmp_path, capsys):
  out = tmp_path / 'out'
  arguments = ('--to', 'stablehlo', '--out', out, '--height', 40)
  assert run(TINY, *arguments) == 2
  assert 'height must be a positive multiple' in capsys.readouterr().err
  assert not out.exists()
