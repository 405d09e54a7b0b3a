"""Tests what the suite runs, what it keeps from before, and what it refuses."""

import json
import pathlib
import shutil

import pytest

from rvm_jax.evals import report
from rvm_jax.evals import run as run_lib
from rvm_jax.evals import suite
from rvm_jax.training import health
from tests.baselines import tiny_rivals

CONFIG = """
import ml_collections
def get_config():
  return ml_collections.ConfigDict(
      dict(benchmark='{name}', protocol=dict({protocol}))
  )
"""


class Calls(list):
  """Evaluations in order: (name of the encoder, name of the data's folder)."""

  # Names of encoders whose evaluation raises an error, and the error's class.
  failing = ()
  error = ValueError

  def evaluate(
      self,
      encoder,
      *,
      height,
      width=None,
      propagation=None,
      data_dir=None,
      workdir=None,
  ):
    del width, propagation
    if encoder.name in self.failing:
      raise self.error('it\nfails')
    self.append((encoder.name, data_dir and pathlib.Path(data_dir).name))
    scores = {'first': float(height), 'second': 2.0}
    columns = [('First', 'first', False), ('Second', 'second', True)]
    return report.Report(
        'First',
        'first',
        scores,
        [scores],
        {},
        [workdir] if workdir and pathlib.Path(workdir).is_file() else [],
        columns=columns if data_dir is None else (),
    )


@pytest.fixture
def calls(tmp_path, monkeypatch):
  """Replaces the benchmarks by three that only note their calls."""
  found = Calls()
  benchmarks = {
      'davis': run_lib.Benchmark(found.evaluate),
      'ssv2': run_lib.Benchmark(found.evaluate, trains=True),
      'scenes': run_lib.Benchmark(
          found.evaluate, generates=True, needs_whole_patches=True
      ),
  }
  monkeypatch.setattr(run_lib, 'BENCHMARKS', benchmarks)
  (tmp_path / 'configs').mkdir()
  (tmp_path / 'data').mkdir()
  for name in benchmarks:
    path = tmp_path / 'configs' / f'eval_{name}.py'
    path.write_text(CONFIG.format(name=name, protocol='height=16'))
  return found


def run(tmp_path, *checkpoints, flags=()):
  return suite.main(
      [
          f'--data_root={tmp_path / "data"}',
          f'--configs={tmp_path / "configs"}',
          f'--out={tmp_path / "out"}',
          '--checkpoints',
          *checkpoints,
          *flags,
      ]
  )


def read(tmp_path):
  return json.loads((tmp_path / 'out' / 'table.json').read_text())


def test_benchmarks_run_where_their_data_are(calls, tmp_path, capsys):
  (tmp_path / 'data' / 'davis').mkdir()
  assert run(tmp_path, 'raw:8', 'raw:16') == 0
  assert calls == [('raw pixels', 'davis'), ('raw pixels', None)] * 2
  table = read(tmp_path)
  assert list(table['without_data']) == ['ssv2']
  assert [(row['task'], row['checkpoint']) for row in table['rows']] == [
      ('First', 'raw:8'),
      ('First', 'raw:16'),
      ('First', 'raw:8'),
      ('Second', 'raw:8'),
      ('First', 'raw:16'),
      ('Second', 'raw:16'),
  ]
  text = (tmp_path / 'out' / 'table.md').read_text()
  assert 'Not run: ssv2, no folder ssv2 in' in text
  assert 'Second: lower is better' in text
  assert text in capsys.readouterr().out
  # Every row says where its result is.
  for row in table['rows']:
    path = tmp_path / 'out' / row['result'] / 'result.json'
    assert json.loads(path.read_text())['benchmark'] == row['benchmark']


def test_readouts_get_a_workdir_of_their_own(calls, tmp_path):
  (tmp_path / 'data' / 'SSV2').mkdir()
  assert run(tmp_path, 'raw:8', 'raw:16') == 0
  assert ('raw pixels', 'SSV2') in calls
  paths = [
      json.loads(path.read_text())['workdir']
      for path in (tmp_path / 'out').rglob('ssv2/result.json')
  ]
  assert len(set(paths)) == 2
  assert all(path.startswith(str(tmp_path / 'out' / 'work')) for path in paths)


def test_finished_results_are_not_computed_again(calls, tmp_path):
  (tmp_path / 'data' / 'DAVIS').mkdir()
  assert run(tmp_path, 'raw:8') == 0
  before = read(tmp_path)
  assert run(tmp_path, 'raw:8') == 0
  assert len(calls) == 2 and read(tmp_path) == before
  # Only what is new is computed: SSv2 of raw:8, and all three of raw:4.
  (tmp_path / 'data' / 'ssv2').mkdir()
  assert run(tmp_path, 'raw:8', 'raw:4', 'raw:4') == 0
  assert len(calls) == 2 + 1 + 3


def test_finished_result_is_kept_if_the_encoder_decides_center_frames_alike(
    calls, tmp_path, capsys
):
  (tmp_path / 'data' / 'davis').mkdir()
  config = tmp_path / 'configs' / 'eval_davis.py'

  def run_with(propagation):
    protocol = f'height=16, propagation=dict({propagation})'
    config.write_text(CONFIG.format(name='davis', protocol=protocol))
    return run(tmp_path, 'raw:8')

  assert run_with('center_frames=None') == 0
  (path,) = (tmp_path / 'out').rglob('davis/result.json')
  result = json.loads(path.read_text())
  assert result['protocol']['propagation'] == {'center_frames': False}
  # Results of early versions lack this setting.
  del result['protocol']['propagation']['center_frames']
  path.write_text(json.dumps(result))
  for same in 'center_frames=None', 'center_frames=False':
    assert run_with(same) == 0
  assert len(calls) == 2
  assert run_with('center_frames=True') == 2
  assert 'propagation.center_frames: saved' in capsys.readouterr().err


def test_stopped_suite_goes_on(calls, tmp_path, monkeypatch):
  (tmp_path / 'data' / 'davis').mkdir()
  run_one, started = run_lib.run, []

  def stop_at_second(*args, **settings):
    started.append(args)
    if len(started) == 2:
      raise KeyboardInterrupt
    return run_one(*args, **settings)

  with monkeypatch.context() as patch:
    patch.setattr(run_lib, 'run', stop_at_second)
    with pytest.raises(KeyboardInterrupt):
      run(tmp_path, 'raw:8')
  assert len(calls) == 1 and read(tmp_path)['num_waiting'] == 1
  text = (tmp_path / 'out' / 'table.md').read_text()
  assert 'Not finished: 1 more' in text
  assert run(tmp_path, 'raw:8') == 0
  assert len(calls) == 2 and not read(tmp_path)['num_waiting']


@pytest.mark.parametrize('error', [ValueError, health.NonFiniteError])
def test_failure_of_one_benchmark_does_not_stop_the_others(
    error, calls, tmp_path, capsys
):
  calls.error = error
  path = tiny_rivals.write(tmp_path / 'rival', 'dinov2')
  calls.failing = ('DINOv2 32 wide',)
  assert run(tmp_path, f'dinov2:{path}', 'raw:8') == 1
  assert calls == [('raw pixels', None)]
  assert 'failed: it fails' in capsys.readouterr().err
  assert read(tmp_path)['failed'] == [
      {
          'checkpoint': f'dinov2:{path}',
          'benchmark': 'scenes',
          'reason': 'it fails',
      }
  ]
  assert read(tmp_path)['num_waiting'] == 0
  calls.failing = ()
  assert run(tmp_path, f'dinov2:{path}', 'raw:8') == 0
  assert len(calls) == 2 and not read(tmp_path)['failed']


def test_names_of_checkpoints_that_look_alike_have_folders_of_their_own(
    calls, tmp_path
):
  names = [
      f'dinov2:{tiny_rivals.write(tmp_path / name, "dinov2", seed=seed)}'
      for seed, name in enumerate(('a+b', 'a-b'))
  ]
  assert run(tmp_path, *names) == 0
  rows = read(tmp_path)['rows']
  assert len(calls) == 2 and len({row['result'] for row in rows}) == 2


def test_generated_frames_get_the_nearest_size_that_the_patch_divides(
    calls, tmp_path
):
  config = tmp_path / 'configs' / 'eval_scenes.py'
  config.write_text(
      CONFIG.format(name='scenes', protocol='height=16, width=16')
  )
  path = tiny_rivals.write(tmp_path / 'rival', 'dinov2')
  assert run(tmp_path, f'dinov2:{path}', 'raw:8') == 0
  heights = {r['checkpoint']: r['score'] for r in read(tmp_path)['rows'][::2]}
  assert heights == {f'dinov2:{path}': 14.0, 'raw:8': 16.0}


def test_a_second_suite_in_a_folder_is_refused_until_the_first_has_ended(
    calls, tmp_path, monkeypatch, capsys
):
  run_one, codes = run_lib.run, []

  def run_with_a_second_suite(*args, **settings):
    monkeypatch.setattr(run_lib, 'run', run_one)
    codes.append(run(tmp_path, 'raw:8'))
    return run_one(*args, **settings)

  monkeypatch.setattr(run_lib, 'run', run_with_a_second_suite)
  assert run(tmp_path, 'raw:8') == 0
  assert codes == [2] and len(calls) == 1
  assert 'is in use by a run' in capsys.readouterr().err
  assert run(tmp_path, 'raw:8') == 0


@pytest.mark.parametrize(
    'checkpoint, message',
    [
        ('dinov4:/nowhere', 'dinov4 is none of'),
        ('dinov2:{tmp_path}/nothing', 'nothing'),
        ('{tmp_path}/nothing.npz', 'nothing.npz'),
        ('raw:x', 'needs the side of a patch in pixels'),
    ],
)
def test_wrong_checkpoint_is_refused_before_the_work(
    checkpoint, message, calls, tmp_path, capsys
):
  assert run(tmp_path, 'raw:8', checkpoint.format(tmp_path=tmp_path)) == 2
  error = capsys.readouterr().err
  assert error.startswith('error: ') and message in error
  assert not calls and not (tmp_path / 'out').exists()


def test_results_of_other_weights_or_settings_are_refused(
    calls, tmp_path, capsys
):
  (tmp_path / 'data' / 'davis').mkdir()
  path = tiny_rivals.write(tmp_path / 'rival', 'dinov2')
  assert run(tmp_path, f'dinov2:{path}') == 0
  config = tmp_path / 'configs' / 'eval_davis.py'
  before = config.read_text()
  config.write_text(before.replace('16', '32'))
  assert run(tmp_path, f'dinov2:{path}') == 2
  assert 'protocol.height: saved 16, now 32' in capsys.readouterr().err
  config.write_text(before)
  shutil.rmtree(path)
  tiny_rivals.write(tmp_path / 'rival', 'dinov2', seed=1)
  assert run(tmp_path, f'dinov2:{path}') == 2
  assert 'identity: saved' in capsys.readouterr().err


def test_result_on_generated_scenes_of_other_settings_is_refused(
    calls, tmp_path, capsys
):
  config = tmp_path / 'configs' / 'eval_scenes.py'
  config.write_text(
      CONFIG.format(name='scenes', protocol='height=15, width=15')
  )
  # Both sizes become 16, which the patch divides.
  assert run(tmp_path, 'raw:8') == run(tmp_path, 'raw:8') == 0
  config.write_text(
      CONFIG.format(name='scenes', protocol='height=30, width=15')
  )
  assert run(tmp_path, 'raw:8') == 2
  assert 'protocol.height: saved 16, now 32' in capsys.readouterr().err
  assert len(calls) == 1


def test_wrong_folders_are_refused(calls, tmp_path, capsys):
  assert run(tmp_path, 'raw:8', flags=['--configs=nowhere']) == 2
  assert 'nowhere has no eval_*.py' in capsys.readouterr().err
  assert run(tmp_path, 'raw:8', flags=['--data_root=/nowhere']) == 2
  assert '--data_root=/nowhere must be the folder' in capsys.readouterr().err
  for name in ('DAVIS', 'davis'):
    (tmp_path / 'data' / name).mkdir()
  assert run(tmp_path, 'raw:8') == 2
  assert 'several folders of davis: DAVIS, davis' in capsys.readouterr().err
