"""Tests that nothing is written unless PyTorch reproduces the features."""

import pathlib

import pytest

from rvm_jax.export import pytorch

pytest.importorskip('torch')


@pytest.fixture
def replace_module(tmp_path, monkeypatch):
  """Makes `write` export another file than rvm_torch.py."""

  def replace(text):
    path = tmp_path / 'rvm_torch.py'
    path.write_text(text)
    monkeypatch.setattr(pytorch, 'MODULE', str(path))
    return path

  return replace


def test_write_refuses_a_module_with_other_features(
    tmp_path, monkeypatch, tiny, run, replace_module
):
  text = pathlib.Path(pytorch.MODULE).read_text()
  wrong = replace_module(
      text.replace("approximate='tanh'", "approximate='none'")
  )
  monkeypatch.setattr('rvm_jax.export.check.TOLERANCE', 1e-5)
  with pytest.raises(RuntimeError, match='does not reproduce our features'):
    run(tiny, '--to', 'torch', '--out', tmp_path / 'out')
  assert list(tmp_path.iterdir()) == [wrong]


def test_write_reports_what_pytorch_failed_with(
    tmp_path, small, run, replace_module
):
  wrong = replace_module('raise ImportError("torch is too old")')
  with pytest.raises(
      RuntimeError, match='(?s)exit code 1:\n.*torch is too old'
  ):
    run(small[0], '--to', 'torch', '--out', tmp_path / 'out')
  assert list(tmp_path.iterdir()) == [wrong]
