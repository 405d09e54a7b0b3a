"""The notebooks run from top to bottom, and are committed without outputs."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

import rvm_jax
from tests import notebook_cells

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob('notebooks/*.ipynb'))
QUICKSTART = ROOT / 'notebooks' / 'quickstart.ipynb'


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_committed_without_outputs(notebook):
  cells = notebook_cells.read(notebook)
  assert len({cell['id'] for cell in cells}) == len(cells)
  for cell in cells:
    if cell['cell_type'] == 'code':
      assert cell['outputs'] == [] and cell['execution_count'] is None


def test_quickstart_runs_and_draws_its_pictures(tmp_path, environment):
  text = QUICKSTART.read_text()
  text, count = re.subn(r'NUM_STEPS = \d+', 'NUM_STEPS = 2', text)
  assert count == 1
  notebook = tmp_path / 'quickstart.ipynb'
  notebook.write_text(text)
  done = subprocess.run(
      [sys.executable, notebook_cells.__file__, notebook, tmp_path],
      cwd=ROOT / 'notebooks',
      env=environment | {'TMPDIR': str(tmp_path)},
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.returncode == 0, done.stderr
  # These are the features of the state, and those of the run at the end.
  model = rvm_jax.load('rvm_tiny').model
  side = 128 // model.patch
  shape = f'(48, {side}, {side}, {model.width})'
  assert done.stdout.splitlines().count(shape) == 2
  assert 'step 2/2  loss ' in done.stdout
  pictures = [np.asarray(Image.open(x)) for x in tmp_path.glob('*.png')]
  assert len(pictures) == 4
  for picture in pictures:
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_quickstart_without_a_clone_says_what_to_set(tmp_path, monkeypatch):
  setup = next(
      cell['text']
      for cell in notebook_cells.read(QUICKSTART)
      if cell['cell_type'] == 'code'
  )
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match='set REPOSITORY to its URL'):
    exec(setup, {})
  assert os.listdir(tmp_path) == []
