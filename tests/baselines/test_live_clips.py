"""The clip models against PyTorch's, on new random parameters.

Unlike the golden files, the expected tokens are computed while the test runs.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from rvm_jax import baselines
from rvm_jax.baselines import vjepa
from tests.baselines import published

# An interpreter with PyTorch and transformers, which need not have JAX.
PYTHON = os.environ.get('RVM_JAX_TRANSFORMERS_PYTHON', sys.executable)
FIND = "import importlib.util as u; raise SystemExit(not u.find_spec('{}'))"


@pytest.fixture(scope='module')
def golden_folder(tmp_path_factory):
  """A folder of golden files that PyTorch has just computed."""
  for name in ('torch', 'transformers'):
    if subprocess.run([PYTHON, '-c', FIND.format(name)]).returncode:
      pytest.skip(
          f'{PYTHON} has no {name}: install it, or set'
          ' RVM_JAX_TRANSFORMERS_PYTHON to the path of a Python that has it'
      )
  folder = tmp_path_factory.mktemp('golden')
  script = pathlib.Path(__file__).with_name('make_golden_clips.py')
  subprocess.run([PYTHON, str(script), str(folder), '1'], check=True)
  return folder


@pytest.mark.parametrize('family', ['videomae', 'vjepa', 'vjepa2'])
def test_tokens_are_those_of_pytorch(
    golden_folder, tmp_path, monkeypatch, family
):
  monkeypatch.setitem(vjepa.HEADS, 48, 3)
  monkeypatch.setitem(vjepa.ROWS, 8 * 4 * 4, 4)
  golden = published.read(family, golden_folder)
  if family == 'vjepa':
    path = published.write_safetensors(
        tmp_path / 'x.safetensors', golden.params
    )
  else:
    path = published.write_folder(
        tmp_path / 'model', golden.config, golden.params
    )
  found = published.differences(*baselines.load(path), golden.cases)
  print(f'largest differences {found}')
  assert np.max(found) <= 1e-11
