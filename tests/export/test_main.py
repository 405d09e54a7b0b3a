"""Tests that the command writes checked exports, or nothing and an error."""

import importlib.util
import os
import pickle

import numpy as np
import pytest

from rvm_jax import weights
from tests.weights import scratch

FORMATS = ('npz', 'safetensors', 'stablehlo', 'torch')


def test_run_becomes_either_file_of_weights_with_the_same_bits(
    tmp_path, capsys, tiny, run
):
  scratch.save_run(tmp_path / 'run', *weights.load(tiny))
  path = tmp_path / 'run'
  for to in ('safetensors', 'npz'):
    out = tmp_path / f'out.{to}'
    assert run(path, '--to', to, '--out', out) == 0
    assert 'encoder, core, decoder; read back' in capsys.readouterr().out
    path = out
  expected, found = dict(np.load(tiny)), dict(np.load(path))
  assert found.keys() == expected.keys()
  assert all(found[k].tobytes() == expected[k].tobytes() for k in expected)


def test_npz_is_refused_for_a_content_first_model(tmp_path, capsys, tiny, run):
  path, out = tmp_path / 'content.safetensors', tmp_path / 'out.safetensors'
  weights.save_safetensors(path, weights.load(tiny)[1], content_first=True)
  assert run(path, '--to', 'npz', '--out', tmp_path / 'out.npz') == 2
  assert 'use --to safetensors' in capsys.readouterr().err
  assert not (tmp_path / 'out.npz').exists()
  assert run(path, '--to', 'safetensors', '--out', out) == 0
  assert weights.load(out)[0].content_first


def test_printed_line_says_that_a_checkpoint_has_no_decoder(
    tmp_path, capsys, small, run
):
  path, *_ = small
  out = tmp_path / 'out.npz'
  assert run(path, '--to', 'npz', '--out', out) == 0
  assert 'encoder and core only; read back' in capsys.readouterr().out
  assert np.load(out).files == np.load(path).files


def test_missing_pytorch_is_named_with_the_way_to_install_it(
    tmp_path, monkeypatch, capsys, tiny, run
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  assert run(tiny, '--to', 'torch', '--out', tmp_path / 'out') == 2
  assert "pip install 'rvm_jax[torch]'" in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_pickle_in_a_checkpoint_is_refused_and_not_executed(
    tmp_path, capsys, tiny, run
):
  trace, path = tmp_path / 'trace', tmp_path / 'bad.npz'
  payload = scratch.Payload(trace)
  np.savez(path, **dict(np.load(tiny)) | {'cls_token': np.array([payload])})
  pickle.loads(pickle.dumps(payload))
  assert trace.exists(), 'unpickling the payload must have an effect'
  trace.unlink()
  assert run(path, '--to', 'npz', '--out', tmp_path / 'out.npz') == 2
  assert 'pickles are refused' in capsys.readouterr().err
  assert not trace.exists()


@pytest.mark.parametrize('kind', ['file', 'folder', 'run', 'nothing'])
def test_checkpoint_of_another_project_is_refused(
    tmp_path, capsys, tiny, run, kind
):
  path = tmp_path / 'other.npz'
  if kind == 'file':
    np.savez(path, **{'params/head/kernel': np.zeros(3, np.float32)})
  elif kind == 'folder':
    (path / 'checkpoints' / '5' / 'params').mkdir(parents=True)
  elif kind == 'run':
    # The files are named like ours; the parameters are of another model.
    scratch.save_run(path, weights.load(tiny)[0], {'head': np.zeros(3)})
  assert run(path, '--to', 'npz', '--out', tmp_path / 'out.npz') == 2
  assert 'other.npz' in capsys.readouterr().err
  assert not (tmp_path / 'out.npz').exists()


@pytest.mark.parametrize('to', FORMATS)
def test_full_disk_leaves_nothing_behind(tmp_path, capsys, tiny, run, to):
  if to == 'torch' and not importlib.util.find_spec('torch'):
    pytest.skip('needs PyTorch')
  out = tmp_path / f'out.{to}'
  with scratch.full_disk(100_000):
    assert run(tiny, '--to', to, '--out', out) == 2
  message = f'cannot be written: File too large: {str(out)!r}'
  assert message in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('to', FORMATS[:3])
def test_output_that_cannot_be_written_is_named(
    tmp_path, capsys, tiny, run, to
):
  (tmp_path / f'there.{to}').write_text('kept')
  (tmp_path / 'file').touch()
  for name, why in (
      (f'there.{to}', 'is not replaced'),
      (f'nowhere/out.{to}', 'No such file or directory'),
      (f'file/out.{to}', 'Not a directory'),
  ):
    assert run(tiny, '--to', to, '--out', tmp_path / name) == 2
    error = capsys.readouterr().err
    assert why in error and name in error
    folder = os.path.dirname(tmp_path / name)
    is_folder = os.path.isdir(folder)
    assert (f'there is no folder {folder})' in error) != is_folder
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
def test_wrong_arguments_are_refused_with_the_reason(
    capsys, tiny, run, arguments, message
):
  with pytest.raises(SystemExit, match='2'):
    run(tiny, *arguments)
  assert message in capsys.readouterr().err


def test_height_that_is_no_multiple_of_the_patch_is_refused(
    tmp_path, capsys, tiny, run
):
  out = tmp_path / 'out'
  arguments = ('--to', 'stablehlo', '--out', out, '--height', 40)
  assert run(tiny, *arguments) == 2
  assert 'height must be a positive multiple' in capsys.readouterr().err
  assert not out.exists()
