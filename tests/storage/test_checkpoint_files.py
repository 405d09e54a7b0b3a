"""Checkpoints are found, and any change of their files is noticed."""

import json
import shutil

from etils import epath
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.storage import digests
from rvm_jax.training import saving

CONFIG = {'model': {'width': 3}, 'sources': ('a', 'b')}


def save(directory, step, value=1.0):
  """Saves a checkpoint with a parameter of this value, and returns its path."""
  state = {
      'params': {'a': {'kernel': jnp.full((4, 5), value)}, 'b': jnp.arange(3)},
      'opt_state': (None, [jnp.ones(2)]),
  }
  path = epath.Path(directory) / str(step)
  assert not saving.Save(path, state, {'at': step}, CONFIG).finish()
  return path


@pytest.fixture
def saved(tmp_path):
  return save(tmp_path, 4)


def test_contents_come_back_with_the_digest_of_every_array(saved):
  config, data, arrays = checkpoint_files.read_contents(saved)
  assert config == {'model': {'width': 3}, 'sources': ['a', 'b']}
  assert data == {'at': 4}
  assert arrays['params/b'] == digests.of_array(np.arange(3, dtype=np.int32))[0]
  assert sorted(arrays) == ['opt_state/1/0', 'params/a/kernel', 'params/b']
  shapes = checkpoint_files.read_shapes(saved, arrays)
  assert shapes['params']['a']['kernel'].shape == (4, 5)
  checkpoint_files.check(saved)


@pytest.mark.parametrize('part', ['config', 'data'])
def test_any_change_of_the_json_is_damage(saved, part):
  file = saved / part / 'metadata'
  contents = json.loads(file.read_text())
  contents['new'] = 1
  file.write_text(json.dumps(contents))
  with pytest.raises(damage.DamagedError, match='digests have changed'):
    checkpoint_files.read_contents(saved)


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"arrays": {}', 'digests is not valid JSON'),
        ('[]', 'digests is not a JSON object'),
        ('{"arrays": {}}', "KeyError 'json'"),
        ('{"json": "0", "arrays": {}}', 'digests have changed'),
    ],
)
def test_digests_that_have_changed_are_damage(saved, text, message):
  (saved / 'digests' / 'metadata').write_text(text)
  with pytest.raises(damage.DamagedError, match=message):
    checkpoint_files.check(saved)


def test_arrays_of_another_checkpoint_are_damage(saved, tmp_path):
  other = save(tmp_path, 6, value=2.0)
  shutil.rmtree(saved / 'state')
  shutil.copytree(other / 'state', saved / 'state')
  with pytest.raises(damage.DamagedError) as error:
    checkpoint_files.check(saved)
  assert error.value.reason == 'params/a/kernel changed since it was saved'


def test_parameters_that_are_not_finite_are_damage_also_without_digests(
    tmp_path,
):
  path = save(tmp_path, 4, value=np.nan)
  for _ in range(2):
    with pytest.raises(damage.DamagedError) as error:
      checkpoint_files.check(path)
    assert error.value.reason == (
        'parameters are not finite (number of elements): params/a/kernel (20)'
    )
    shutil.rmtree(path / 'digests', ignore_errors=True)


def test_checkpoints_of_earlier_versions_have_no_digests(saved):
  shutil.rmtree(saved / 'digests')
  assert checkpoint_files.read_contents(saved).arrays is None
  checkpoint_files.check(saved)
  shutil.rmtree(saved / 'data')
  assert checkpoint_files.read_contents(saved).data is None


def test_find_good_returns_the_newest_that_is_not_damaged(tmp_path):
  directory = epath.Path(tmp_path)
  assert checkpoint_files.find_steps(directory / 'absent') == []
  assert checkpoint_files.find_good(directory) is None
  for step in (2, 4, 10):
    save(tmp_path, step)
  (tmp_path / '12').mkdir()
  (tmp_path / '14').write_text('no folder')
  (tmp_path / '16.orbax-checkpoint-tmp').mkdir()
  assert checkpoint_files.find_steps(directory) == [2, 4, 10, 12]
  assert checkpoint_files.find_good(directory) == 10
  shutil.rmtree(tmp_path / '10' / 'state')
  assert checkpoint_files.find_good(directory) == 4
  assert checkpoint_files.find_good(directory, below=4) == 2
  assert checkpoint_files.find_good(directory, below=2) is None


def test_locate_keeps_urls_and_completes_local_paths(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert checkpoint_files.locate('run') == epath.Path(tmp_path) / 'run'
  assert not checkpoint_files.is_url(tmp_path)
  assert checkpoint_files.is_url('gs://bucket/run')
