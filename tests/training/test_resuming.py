"""A damaged checkpoint and one that does not fit are different errors."""

from etils import epath
import jax
import jax.numpy as jnp
import pytest

from rvm_jax.storage import damage
from rvm_jax.training import resuming
from rvm_jax.training import saving
from rvm_jax.training import step as step_lib

CONFIG = {'num_steps': 9, 'objective': 'rvm', 'model': {'width': 3}, 'seed': 0}


@pytest.fixture
def state():
  return step_lib.TrainState(
      step=jnp.asarray(4, jnp.int32),
      params={'a': jnp.arange(6.0)},
      opt_state=(),
      rng=jax.random.key(0),
  )


@pytest.fixture
def path(tmp_path, state):
  path = epath.Path(tmp_path) / '4'
  assert not saving.Save(path, state.parts(), {'at': 4}, CONFIG).finish()
  return path


def read(path, state, **changes):
  shapes = jax.eval_shape(lambda: state)
  shapes = jax.tree.map(
      lambda x, y: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=y.sharding),
      shapes,
      state,
  )
  return resuming.read(path, shapes, CONFIG | changes, verify=True)


def test_read_returns_state_and_position(path, state, warnings):
  restored, data = read(path, state)
  assert data == {'at': 4} and restored.params['a'][5] == 5
  assert not warnings


def test_read_checks_the_config_before_the_state(path, state, warnings):
  (path / 'state' / 'manifest.ocdbt').write_bytes(b'')
  with pytest.raises(damage.DamagedError):
    read(path, state, seed=1)
  # Changes of the config are logged only for a checkpoint that is restored.
  assert not warnings


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(objective='mae'), 'objective: saved'),
        (dict(model={'width': 4}), 'config.model.width: saved 3, now 4'),
        (dict(num_steps=3), 'num_steps=3 must be at least the 4 steps'),
    ],
)
def test_a_config_that_does_not_fit_is_not_damage(
    path, state, changes, message
):
  with pytest.raises(ValueError, match=message) as error:
    read(path, state, **changes)
  assert not isinstance(error.value, damage.DamagedError)


def test_a_config_of_which_a_bit_has_changed_is_damage(path, state):
  file = path / 'config' / 'metadata'
  file.write_text(file.read_text().replace('"width": 3', '"width": 7'))
  with pytest.raises(damage.DamagedError, match='config'):
    read(path, state)


def test_a_checkpoint_without_position_is_damaged(path, state):
  for part in ('data', 'digests'):
    (path / part).rmtree()
  with pytest.raises(damage.DamagedError, match='no position in the data'):
    read(path, state)


def test_move_aside_says_why_it_cannot(path, tmp_path):
  (tmp_path / 'taken').write_text('a file')
  with pytest.raises(OSError, match='/4 is damaged: bad. It cannot be moved'):
    resuming.move_aside(path, epath.Path(tmp_path) / 'taken', 'bad')
  assert path.is_dir()
