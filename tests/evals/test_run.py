"""The command on small data sets, with the protocols of the shipped configs."""

import importlib
import inspect
import json
import pathlib
import re
import subprocess
import sys
import types

import ml_collections
import numpy as np
from PIL import Image
import pytest

from configs import readouts
from rvm_jax.evals import report
from rvm_jax.evals import run as run_lib
from rvm_jax.evals import table
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import scoring
from rvm_jax.training import health
from tests.evals import tiny_examples

ROOT = pathlib.Path(__file__).parents[2]
TINY = ROOT / 'tests/golden/rvm_tiny_params.npz'
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('eval_*.py'))
SMALL = (
    '--config.protocol.height=48',
    '--config.protocol.width=64',
    '--config.protocol.propagation.num_context=2',
)


def command(name, data_dir, checkpoint, out, *overrides):
  """Returns a command line with SMALL settings and `overrides` of them."""
  return [
      sys.executable,
      '-m',
      'rvm_jax.evals.run',
      f'--config={ROOT}/configs/eval_{name}.py',
      f'--config.data_dir={data_dir}',
      f'--checkpoint={checkpoint}',
      f'--out={out}',
      *SMALL,
      *overrides,
  ]


@pytest.fixture
def start(environment):
  """Returns a function that runs the command with arguments of `command`."""

  def start_(*arguments):
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )

  return start_


@pytest.mark.parametrize(
    'name, checkpoint, headline, task, num_rows, num_files',
    [
        ('davis', TINY, 'j_and_f', 'DAVIS-2017 J&F', 5, 36),
        ('jhmdb', 'raw:8', 'pck_0.1', 'JHMDB PCK@0.1', 3, 23),
        ('vip', 'raw:16', 'miou', 'VIP mIoU', 3, 36),
    ],
)
def test_the_command_writes_a_result_with_rows_and_pictures(
    name,
    checkpoint,
    headline,
    task,
    num_rows,
    num_files,
    start,
    tmp_path,
    request,
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
  # The config leaves `center_frames` to the encoder, and the result has the
  # value that the encoder chose.
  assert protocol['propagation']['center_frames'] is None
  protocol['propagation']['center_frames'] = False
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
def test_shipped_configs_have_exactly_the_settings_of_their_benchmark(
    name, tmp_path
):
  config = importlib.import_module(f'configs.{name}').get_config()
  assert config.benchmark == name.removeprefix('eval_')
  called = run_lib.BENCHMARKS[config.benchmark]
  folders = {} if called.generates else {'data_dir': 'nowhere'}
  folders |= {'workdir': str(tmp_path / 'none')} if called.trains else {}
  # A TypeError here would mean that a setting is missing or unknown.
  protocol = config.protocol.to_dict()
  inspect.signature(called.evaluate).bind(None, **folders, **protocol)
  if not called.generates:
    with pytest.raises(FileNotFoundError, match='docs/datasets'):
      called.evaluate(None, **folders, **protocol)
    assert not list(tmp_path.iterdir())


def test_frames_are_resized_to_whole_patches_if_resize_to_patch_is_set(
    monkeypatch, tmp_path
):
  def average_frames(params, frames, state):
    del params
    batch, time, height, width, _ = frames.shape
    patches = frames.reshape(batch, time, height // 14, 14, width // 14, 14, 3)
    return encoder_lib.FrameFeatures(patches.mean((3, 5)), None), state

  encoder = encoder_lib.from_apply(
      'fake', 'fake', 14, average_frames, (), scaling='none'
  )
  monkeypatch.setattr(run_lib.loading, 'load', lambda _: encoder)

  def evaluate(model, *, height, width):
    patches = model.encode(np.zeros((1, 2, height, width, 3), np.uint8)).patches
    rows, columns = patches.shape[2:4]
    row = {'rows': rows, 'columns': columns}
    return report.Report('Size', 'rows', row, [row], {}, ())

  monkeypatch.setitem(
      run_lib.BENCHMARKS, 'size', run_lib.Benchmark(evaluate, generates=True)
  )
  settings = dict(benchmark='size', protocol={'height': 480, 'width': 880})
  with pytest.raises(ValueError, match='take the nearest, 476 x 882'):
    run_lib.run('fake', str(tmp_path / 'refused'), **settings)
  assert not (tmp_path / 'refused').exists()
  run_lib.run('fake', str(tmp_path / 'out'), resize_to_patch=True, **settings)
  result = json.loads((tmp_path / 'out/result.json').read_text())
  assert result['scores'] == {'rows': 34, 'columns': 63}
  # The result has the size of the frames that the encoder got.
  assert result['protocol'] == {'height': 476, 'width': 882}


@pytest.mark.parametrize(
    'chosen, settled', [(None, True), (False, False), (True, True)]
)
def test_the_encoder_decides_center_frames_unless_the_config_sets_it(
    chosen, settled, monkeypatch, tmp_path
):
  encoder = encoder_lib.FrozenEncoder(
      *('fake', 'fake', 14, 'none', None), center_frames=True
  )
  monkeypatch.setattr(run_lib.loading, 'load', lambda _: encoder)

  def evaluate(model, *, propagation):
    del model
    return report.Report('Any', 'found', propagation, [propagation], {}, ())

  monkeypatch.setitem(
      run_lib.BENCHMARKS, 'any', run_lib.Benchmark(evaluate, generates=True)
  )
  found = run_lib.run(
      'fake',
      str(tmp_path / 'out'),
      benchmark='any',
      protocol={'propagation': {'found': 1.0, 'center_frames': chosen}},
  )
  assert found.scores['center_frames'] is settled
  result = json.loads((tmp_path / 'out/result.json').read_text())
  assert result['protocol']['propagation']['center_frames'] is settled


@pytest.fixture
def generated(monkeypatch):
  """Adds 'tiny', a benchmark that generates its data and trains a readout."""

  def score(record, ground_truth, prediction):
    label = prediction['probabilities'].argmax()
    is_right = label == ground_truth['label']
    return {'video': record.name, 'right': float(is_right)}

  def summarise(rows):
    return {'top_1': sum(100 * row['right'] for row in rows) / 4}

  def evaluate(model, *, workdir, num_train, training):
    found = scoring.evaluate(
        model,
        tiny_examples.Head(),
        tiny_examples.records(num_train),
        tiny_examples.records(4),
        scoring.Metric(score, summarise, 'top_1'),
        name='classes',
        workdir=workdir,
        examples={'train': {}, 'test': {}},
        features=readouts.get_features().to_dict() | {'is_kept': True},
        training=training,
    )
    return report.Report(
        'Tiny', 'top_1', found.scores, found.rows, {}, (), found.notes
    )

  monkeypatch.setitem(
      run_lib.BENCHMARKS,
      'tiny',
      run_lib.Benchmark(evaluate, trains=True, generates=True),
  )


def test_a_readout_in_the_workdir_is_reused_unless_the_encoder_differs(
    generated, tmp_path
):
  training = readouts.get_training().to_dict()
  training |= dict(
      num_steps=4,
      batch_size=2,
      warmup_steps=1,
      learning_rates=(1e-1, 3e-1),
      is_augmented=False,
  )

  def run(out, checkpoint):
    run_lib.run(
        checkpoint,
        str(tmp_path / out),
        str(tmp_path / 'work'),
        benchmark='tiny',
        protocol={'num_train': 8, 'training': training},
    )

  run('first', 'raw:8')
  result = json.loads((tmp_path / 'first/result.json').read_text())
  assert result['workdir'] == str(tmp_path / 'work')
  assert result['data']['folder'] is None and not result['data']['num_files']
  assert result['protocol']['training']['learning_rates'] == [0.1, 0.3]
  assert 'chosen on the test examples' in result['notes'][0]
  assert sorted(p.name for p in (tmp_path / 'work').iterdir()) == [
      'classes',
      'features',
  ]
  run('second', 'raw:8')
  again = json.loads((tmp_path / 'second/result.json').read_text())
  assert again['scores'] == result['scores']
  with pytest.raises(
      ValueError, match="encoder: saved 'raw:8, patch 8.* now 'raw:4, patch"
  ):
    run('third', 'raw:4')
  assert not (tmp_path / 'third').exists()


def test_wrong_arguments_are_refused(generated, tmp_path):
  def run(**changes):
    arguments = dict(
        checkpoint='raw:8',
        out=str(tmp_path / 'out'),
        benchmark='vip',
        data_dir=str(tmp_path),
        protocol={},
    )
    run_lib.run(**arguments | changes)

  with pytest.raises(FileExistsError, match='give --out a new folder'):
    run(out=str(tmp_path))
  with pytest.raises(ValueError, match="davis, jhmdb, vip.*, got 'dvais'"):
    run(benchmark='dvais')
  with pytest.raises(ValueError, match='--config.data_dir must be'):
    run(data_dir=None)
  with pytest.raises(ValueError, match='vip trains nothing: leave --workdir'):
    run(workdir=str(tmp_path))
  with pytest.raises(ValueError, match='tiny generates .* leave data_dir out'):
    run(benchmark='tiny')
  with pytest.raises(ValueError, match='tiny trains a readout: --workdir must'):
    run(benchmark='tiny', data_dir=None)
  with pytest.raises(TypeError, match='colour'):
    run(colour=3)
  with pytest.raises(FileNotFoundError, match='nothing.npz'):
    run(checkpoint=str(tmp_path / 'nothing.npz'))


def test_mistakes_are_printed_in_one_line_with_exit_code_2(start, tmp_path):
  out = tmp_path / 'out'
  for arguments, message in (
      (('vip', tmp_path, 'raw:8', tmp_path), f'{tmp_path} is there already'),
      (('vip', tmp_path, 'raw:8', out), f'{tmp_path}.* is missing'),
      (
          ('vip', tmp_path, 'raw:14', out),
          'height=48 .nearest: 42 and 56. and width=64 .nearest: 56 and 70.',
      ),
      (
          ('vip', tmp_path, 'raw:8', out, '--config.protocol.heigth=3'),
          'lacks a setting: .heigth. Did you mean "height"',
      ),
      (
          ('vip', tmp_path, 'raw:8', out, '--config.protocl.height=3'),
          'lacks a setting: .protocl. Did you mean "protocol"',
      ),
  ):
    done = start(*arguments)
    assert done.returncode == 2 and not done.stdout and not out.exists()
    *logged, error = done.stderr.splitlines()
    assert error.startswith('error: ') and re.search(message, error), error
    assert all(line.startswith('I') for line in logged), logged
  broken = tmp_path / 'broken.py'
  broken.write_text("def get_config():\n  return {}['a']\n")
  done = start('vip', tmp_path, 'raw:8', out, f'--config={broken}')
  assert done.returncode == 1 and 'Traceback' in done.stderr


def test_failure_while_a_benchmark_runs_is_printed_in_one_line(
    monkeypatch, capsys
):
  def fail(*_, **__):
    raise health.NonFiniteError('step 3: the loss is nan')

  flags = types.SimpleNamespace(
      checkpoint='raw:8',
      out='out',
      workdir='work',
      config=ml_collections.ConfigDict(),
  )
  monkeypatch.setattr(run_lib, 'run', fail)
  monkeypatch.setattr(run_lib.flags, 'FLAGS', flags)
  assert run_lib.main(['run']) == 1
  assert capsys.readouterr().err == 'error: step 3: the loss is nan\n'
