"""Tests that what the READMEs name exists and that their code runs."""

import importlib.util
import json
import math
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from configs import eval_scenes
from configs import rvm_base
import rvm_jax
from rvm_jax.weights import released

ROOT = pathlib.Path(__file__).parents[1]
TINY = ROOT / 'tests' / 'golden' / 'rvm_tiny_params.npz'
README = (ROOT / 'README.md').read_text()
BENCHMARKS = (ROOT / 'benchmarks' / 'README.md').read_text()
# Fenced or indented blocks and code spans.
CODE = '\n'.join(
    re.findall(r'^```[^`]*^```|^    .*$|`[^`\n]+`', README + BENCHMARKS, re.M)
)


def test_python_blocks_run_as_written():
  first, *blocks = re.findall(r'^```python\n(.*?)^```', README, re.M | re.S)
  names = {}
  exec(first, names)  # pylint: disable=exec-used
  model = names['encoder'].model
  assert model == rvm_jax.load('rvm_tiny').model
  side = 128 // model.patch
  assert names['features'].shape == (16, side, side, model.width)
  assert blocks
  for block in blocks:
    block, count = re.subn(r"'\w+\.npz'", repr(str(TINY)), block)
    assert count == 1
    names = {}
    exec(block, names)  # pylint: disable=exec-used
    # These are the shapes that the comments in the block state.
    assert names['features'].patches.shape == (6, 16, 16, 48)
    assert names['features'].cls.shape == (6, 48)
    assert names['step'].patches.shape == (1, 16, 16, 48)
    np.testing.assert_allclose(
        names['state'], names['features'].state, atol=1e-5
    )


def test_named_paths_exist():
  tops = 'configs|rvm_jax|docs|experiments|tests|benchmarks|notebooks'
  paths = re.findall(rf'\b(?:{tops})/[\w./]*', README + BENCHMARKS)
  paths += re.findall(r'\]\(([^):]+)\)', README + BENCHMARKS)
  paths += re.findall(r'^## (\w+\.py)', BENCHMARKS, re.M)
  assert len(paths) > 20
  for path in paths:
    found = (ROOT / path).exists() or (ROOT / 'benchmarks' / path).exists()
    assert found, path


def test_named_modules_exist():
  modules = re.findall(r'python -m ([\w.]+)', CODE)
  assert {'rvm_jax.main', 'rvm_jax.data.check'} <= set(modules)
  for module in modules:
    assert importlib.util.find_spec(module), module


def test_named_settings_exist():
  config = rvm_base.get_config()
  groups = '|'.join(k for k, value in config.items() if hasattr(value, 'keys'))
  keys = set(re.findall(r'--config\.([\w.]+)', CODE)) - {'data_dir'}
  keys = sorted(keys)
  keys += re.findall(rf'`((?:{groups})\.\w+)`', CODE)
  assert len(set(keys)) > 8
  for key in keys:
    # An evaluation has other settings than a run: those of its protocol.
    is_protocol = key.startswith('protocol.')
    group = eval_scenes.get_config() if is_protocol else config
    for part in key.split('.'):
      assert part in group, key
      group = group[part]


def test_named_flags_exist():
  flags = set(re.findall(r'--(\w+)', CODE)) - {'config'}
  commands = [
      path
      for top in ('rvm_jax', 'benchmarks', 'experiments')
      for path in (ROOT / top).rglob('*.py')
  ]
  sources = '\n'.join(path.read_text() for path in commands)
  for flag in flags:
    assert re.search(rf"'(--)?{flag}'", sources), flag


def test_named_make_targets_exist():
  targets = re.findall(r'(?:^    |`)make ([\w./]+)', README, re.M)
  assert {'demo', 'test'} <= set(targets)
  makefile = (ROOT / 'Makefile').read_text()
  for target in targets:
    assert re.search(rf'^{re.escape(target)}:', makefile, re.M), target


@pytest.mark.parametrize('size', ['small', 'base', 'large', 'huge'])
def test_named_sizes_are_those_of_the_released_checkpoints(size):
  path = ROOT / 'tests' / 'golden' / f'released_shapes_{size}.json'
  shapes = json.loads(path.read_text())
  counts = {key: math.prod(shape) for key, shape in shapes.items()}
  kept = sum(
      count for key, count in counts.items() if not released.is_decoder(key)
  )
  (row,) = re.findall(rf'^\| `configs/rvm_{size}\.py` .*$', README, re.M)
  *_, kept_said, all_said, _ = row.split('|')
  assert kept_said.strip() == f'{kept / 1e6:.1f} M'
  assert all_said.strip() == f'{sum(counts.values()) / 1e6:.1f} M'


def test_picture_of_the_method_is_drawn_by_its_script(tmp_path):
  script = tmp_path / 'method.py'
  script.write_text((ROOT / 'docs' / 'method.py').read_text())
  code = f'import runpy; runpy.run_path({str(script)!r}, run_name="__main__")'
  subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)
  assert (tmp_path / 'method.png').stat().st_size > 50_000
