"""Checkpoints are restored as they were saved, and only by the same run."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from rvm_jax.training import checkpoints
from rvm_jax.training import step as step_lib

CONFIG = {
    'num_steps': 9,
    'model': {'width': 16, 'remat': 'none'},
    'data': {'sources': ('scenes',)},
}


def make_state(step):
  return step_lib.TrainState(
      step=jnp.asarray(step, jnp.int32),
      params={'kernel': step + jnp.arange(120_000.0).reshape(300, 400)},
      opt_state=(),
      rng=jax.random.key(step),
  )


def shapes(num_devices=1):
  """The shapes of a state whose kernel is split over the devices."""
  mesh = jax.make_mesh((num_devices,), ('fsdp',))

  def shape(x):
    spec = PartitionSpec(*(['fsdp'] if x.ndim else []))
    sharding = NamedSharding(mesh, spec)
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

  return jax.tree.map(shape, make_state(0))


@pytest.fixture
def open_run(tmp_path):
  """Opens the same workdir each time; all are closed at the end."""
  opened = []

  def open_(init_from=None):
    opened.append(
        checkpoints.Checkpoints(
            tmp_path,
            save_every=2,
            keep_last=2,
            keep_every=4,
            verify=True,
            init_from=init_from,
            fresh_decoder=False,
        )
    )
    return opened[-1]

  yield open_
  for run in opened:
    run.close()


@pytest.fixture
def saved(open_run):
  run = open_run()
  for step in (2, 4, 6, 8):
    assert run.is_due(step) and not run.is_due(step + 1)
    run.save(step, make_state(step), {'at': 10 * step}, CONFIG)
    run.wait()
  return run


@pytest.mark.parametrize('num_devices', [1, 2])
def test_restore_returns_the_newest_on_any_devices_and_old_ones_are_deleted(
    open_run, saved, tmp_path, num_devices
):
  state, data = open_run().restore(shapes(num_devices), CONFIG)
  expected = make_state(8)
  assert len(state.params['kernel'].devices()) == num_devices
  np.testing.assert_array_equal(
      state.params['kernel'], expected.params['kernel']
  )
  assert int(state.step) == 8 and state.rng == expected.rng
  assert data == {'at': 80}
  assert saved.last_saved() == f'{tmp_path}/checkpoints/8'
  saved.close()
  kept = sorted(path.name for path in (tmp_path / 'checkpoints').iterdir())
  assert kept == ['4', '6', '8']


def test_restore_from_a_new_workdir_returns_none(open_run):
  run = open_run()
  run.wait()
  assert run.restore(shapes(), CONFIG) is None
  assert run.last_saved() == 'none'


def test_start_refuses_init_from_before_a_state_is_made(open_run, tmp_path):
  np.savez(tmp_path / 'other.npz', kernel=np.zeros(3, np.float32))
  for name, kind, message in (
      ('gone.npz', FileNotFoundError, 'gone.npz'),
      ('other.npz', ValueError, 'other.npz is not an RVM checkpoint'),
  ):
    run = open_run(init_from=str(tmp_path / name))
    with pytest.raises(kind, match=message):
      run.start(shapes(), init=None)


def test_save_keeps_the_state_of_the_call_when_its_memory_is_reused(
    open_run, tmp_path
):
  run, state = open_run(), make_state(2)
  run.save(2, state, {}, CONFIG)
  # The next step donates the state, and its result takes the state's memory.
  add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
  jax.block_until_ready(add(state.params))
  run.wait()
  assert (tmp_path / 'checkpoints' / '2').exists()
  state, _ = open_run().restore(shapes(), CONFIG)
  np.testing.assert_array_equal(
      state.params['kernel'], make_state(2).params['kernel']
  )


def test_restore_refuses_another_model(open_run, saved, tmp_path):
  config = CONFIG | {'model': {'width': 32, 'remat': 'none'}}
  with pytest.raises(ValueError) as error:
    open_run().restore(shapes(), config)
  assert str(error.value) == (
      f'{tmp_path}/checkpoints/8 was written with other settings:\n'
      '  config.model.width: saved 16, now 32\n'
      'Go on with its config, or start in another --workdir'
  )


def test_restore_refuses_fewer_steps_than_are_done(open_run, saved):
  with pytest.raises(ValueError, match='num_steps=7 must be at least the 8'):
    open_run().restore(shapes(), CONFIG | {'num_steps': 7})
  assert open_run().restore(shapes(), CONFIG | {'num_steps': 8})


def test_restore_logs_changes_that_do_not_decide_what_is_trained(
    open_run, saved, warnings
):
  config = CONFIG | {'num_steps': 10, 'model': {'width': 16, 'remat': 'full'}}
  assert open_run().restore(shapes(), config)
  assert warnings == [
      (
          'Resuming with a changed config: config.model.remat: saved'
          " 'none', now 'full'"
      ),
      'Resuming with a changed config: config.num_steps: saved 9, now 10',
  ]


def test_restore_logs_keys_that_one_config_lacks(open_run, saved, warnings):
  config = {key: CONFIG[key] for key in ('num_steps', 'model')} | {'fsdp': None}
  assert open_run().restore(shapes(), config)
  assert warnings == [
      (
          'Resuming with a changed config: config.data.sources: saved'
          " ['scenes'], now no such key"
      ),
      (
          'Resuming with a changed config: config.fsdp: saved no such key, now'
          ' None'
      ),
  ]


def test_restore_takes_a_config_without_objective_for_one_of_rvm(
    open_run, saved, warnings
):
  assert 'objective' not in CONFIG
  assert open_run().restore(shapes(), CONFIG | {'objective': 'rvm'})
  assert not warnings
  with pytest.raises(ValueError, match="objective: saved 'rvm', now 'other'"):
    open_run().restore(shapes(), CONFIG | {'objective': 'other'})
