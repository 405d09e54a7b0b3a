"""The whole command on small data sets, in the shipped configs' protocols."""

import importlib
import json
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from rvm_jax.evals import run as run_lib
from rvm_jax.evals import table

ROOT = pathlib.Path(__file__).parents[2]
TINY = ROOT / 'tests/golden/rvm_tiny_params.npz'
CONFIGS = sorted(
    path.stem for path in (ROOT / 'configs').glob('eval_*.py')
)
SMALL = (
    '--config.protocol.height=48',
    '--config.protocol.width=64',
    '--config.protocol.propagation.num_context=2',
)


def command(name, data_dir, checkpoint, out, *overrides):
  return [
      sys.executable, '-m', 'rvm_jax.evals.run',
      f'--config={ROOT}/configs/eval_{name}.py',
      f'--config.data_dir={data_dir}',
      f'--checkpoint={checkpoint}', f'--out={out}', *SMALL, *overrides,
  ]


def start(*arguments):
  return subprocess.run(
      command(*arguments), cwd=ROOT, capture_output=True, text=True
  )


@pytest.mark.parametrize(
    'name, checkpoint, headline, task, num_rows, num_files',
    [
        ('davis', TINY, 'j_and_f', 'DAVIS-2017 J&F', 5, 36),
        ('jhmdb', 'raw:8', 'pck_0.1', 'JHMDB PCK@0.1', 3, 23),
        ('vip', 'raw:16', 'miou', 'VIP mIoU', 3, 36),
    ],
)
def test_the_whole_command(
    name, checkpoint, headline, task, num_rows, num_files, tmp_path, request
):
  data_dir, _ = request.getfixturevalue(name)
  out = tmp_path / 'results' / name
  done = start(name, data_dir, checkpoint, out)
  assert not done.returncode, done.stderr
  assert f'Wrote {out}' in done.stdout and '3/3' in done.stderr
  result = json.loads((out / 'result.json').read_text())
  assert result['benchmark'] == name and result['task'] == task
  assert result['headline'] == headline
  assert 0 < result['scores'][headline] < 100
  config = importlib.import_module(f'configs.eval_{name}').get_config()
  protocol = json.loads(config.protocol.to_json())
  protocol |= {'height': 48, 'width': 64}
  protocol['propagation']['num_context'] = 2
  assert result['protocol'] == protocol
  assert result['model']['checkpoint'] == str(checkpoint)
  assert result['data']['folder'] == str(data_dir)
  assert result['data']['num_files'] == num_files
  assert len(result['data']['manifest']) == 16
  assert {'python', 'rvm_jax', 'jax'} <= set(result['versions'])
  assert result['seconds'] > 0 and result['device'] == 'cpu'
  assert len((out / 'rows.csv').read_text().splitlines()) == 1 + num_rows
  pictures = list(out.glob('picture_*.png'))
  assert len(pictures) == 3
  for path in pictures:
    assert np.asarray(Image.open(path)).std() > 10
  assert task in table.make([result])


@pytest.mark.parametrize('name', CONFIGS)
def test_shipped_configs_name_a_benchmark_and_all_its_settings(name):
  config = importlib.import_module(f'configs.{name}').get_config()
  assert config.benchmark == name.removeprefix('eval_')
  with pytest.raises(FileNotFoundError, match='docs/datasets'):
    # Not a TypeError: it has every setting, and no other.
    run_lib.BENCHMARKS[config.benchmark](
        None, 'nowhere', **config.protocol.to_dict()
    )


def test_what_a_person_can_get_wrong(tmp_path):
  run = lambda **changes: run_lib.run(
      **dict(
          checkpoint='raw:8', out=str(tmp_path / 'out'), benchmark='vip',
          data_dir=str(tmp_path), protocol={},
      ) | changes
  )
  with pytest.raises(FileExistsError, match='give --out a new folder'):
    run(out=str(tmp_path))
  with pytest.raises(ValueError, match="davis, jhmdb, vip.*, got 'dvais'"):
    run(benchmark='dvais')
  with pytest.raises(ValueError, match='--config.data_dir must be'):
    run(data_dir=None)
  with pytest.raises(TypeError, match='colour'):
    run(colour=3)
  with pytest.raises(FileNotFoundError, match='nothing.npz'):
    run(checkpoint=str(tmp_path / 'nothing.npz'))
