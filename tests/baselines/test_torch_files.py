"""Checkpoints of PyTorch: nested, old, damaged, malicious, without PyTorch."""

import argparse
import os
import sys

import numpy as np
import pytest

from rvm_jax.baselines import reading
from rvm_jax.baselines import torch_files


@pytest.fixture
def torch():
  return pytest.importorskip('torch')


# Files of PyTorch before 1.6 cannot be mapped into memory.
@pytest.mark.parametrize('is_new', [True, False])
def test_tensors_in_dicts_are_read_and_other_values_left_out(
    is_new, torch, tmp_path, monkeypatch
):
  # The file is opened again before each array.
  monkeypatch.setattr(torch_files, '_BYTES_PER_OPENING', 0)
  content = {
      'model': {
          'a.weight': torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)),
          'b': torch.arange(4, dtype=torch.bfloat16),
      },
      'optimizer': {'state': {0: {'exp_avg': torch.ones(2)}}, 'lr': [0.1]},
      'epoch': 3,
      'args': argparse.Namespace(size=3),
  }
  path = tmp_path / 'x.pth.tar'
  torch.save(content, path, _use_new_zipfile_serialization=is_new)
  arrays = reading.open_file(path)
  assert arrays.specs == {
      'model/a.weight': ((2, 3), 'float32'),
      'model/b': ((4,), 'float32'),
      'optimizer/state/0/exp_avg': ((2,), 'float32'),
  }
  a, b = (arrays.read(key) for key in ('model/a.weight', 'model/b'))
  # The arrays do not depend on the file any more.
  with open(path, 'r+b') as file:
    file.write(bytes(path.stat().st_size))
  np.testing.assert_array_equal(a, np.arange(6).reshape(2, 3))
  np.testing.assert_array_equal(b, np.arange(4))
  assert a.dtype == b.dtype == np.float32


class Command:
  """An object that runs a shell command when its pickle is loaded."""

  def __init__(self, command):
    self.command = command

  def __reduce__(self):
    return os.system, (self.command,)


def test_files_that_execute_code_are_refused_and_nothing_runs(torch, tmp_path):
  path, trace = tmp_path / 'x.pth', tmp_path / 'trace'
  torch.save({'a': torch.ones(1), 'b': Command(f'touch {trace}')}, path)
  with pytest.raises(ValueError) as error:
    reading.open_file(path)
  assert 'code in it is refused' in str(error.value)
  assert 'system' in str(error.value) and '\n' not in str(error.value)
  assert 'weights_only' not in str(error.value)
  assert not trace.exists()


@pytest.mark.parametrize('kept', [0, 10, 500, -100])
def test_truncated_files_are_refused_in_a_line(kept, torch, tmp_path):
  path = tmp_path / 'x.pth'
  torch.save({'a': torch.ones(1000)}, path)
  path.write_bytes(path.read_bytes()[:kept])
  with pytest.raises(ValueError) as error:
    reading.open_file(path)
  assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_without_pytorch_the_extra_to_install_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'torch', None)
  (tmp_path / 'x.pth').write_bytes(b'x')
  with pytest.raises(ModuleNotFoundError) as error:
    reading.open_file(tmp_path / 'x.pth')
  assert "pip install 'rvm_jax[torch]'" in str(error.value)
