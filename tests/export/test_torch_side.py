"""Tests that PyTorch's process writes the parameters and encodes videos."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip('torch')

ROOT = pathlib.Path(__file__).parents[2]
# A model whose features are those of one parameter plus the first pixel.
MODULE = """
import sys
import torch

assert not {'jax', 'flax'} & set(sys.modules)


def load(path):
  state = torch.load(path)
  return lambda frames: (state['a.kernel'] + frames[0, 0, 0, 0, 0], None)
"""


def test_main_writes_the_state_dict_and_the_features_of_each_video(tmp_path):
  folder, exchange = tmp_path / 'folder', tmp_path / 'exchange'
  folder.mkdir()
  exchange.mkdir()
  (folder / 'rvm_torch.py').write_text(MODULE)
  params = {
      'a.kernel': np.arange(6, dtype=np.float32).reshape(2, 3),
      'b': np.ones(1, np.float32),
  }
  np.savez(exchange / 'params.npz', **params)
  videos = [np.full((1, 2, 4, 4, 3), value, np.uint8) for value in (7, 9)]
  np.savez(exchange / 'videos.npz', *videos)
  subprocess.run(
      [sys.executable, '-m', 'rvm_jax.export.torch_side', folder, exchange],
      cwd=ROOT,
      env=os.environ | {'PYTHONDONTWRITEBYTECODE': ''},
      check=True,
  )

  state = torch.load(folder / 'state_dict.pt')
  assert state.keys() == params.keys()
  for name, array in params.items():
    np.testing.assert_array_equal(state[name].numpy(), array)
  with np.load(exchange / 'features.npz') as features:
    found = [features[name] for name in features.files]
  np.testing.assert_array_equal(found[0], params['a.kernel'] + 7)
  np.testing.assert_array_equal(found[1], params['a.kernel'] + 9)
  assert sorted(path.name for path in folder.iterdir()) == [
      'rvm_torch.py',
      'state_dict.pt',
  ]
