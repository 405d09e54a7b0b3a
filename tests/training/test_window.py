"""A window is kept, dropped or started, as the resumed run wants it."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.training import step as step_lib
from rvm_jax.training import window as window_lib

STATE = step_lib.TrainState(
    step=jnp.array(3),
    params={'kernel': jnp.arange(4.0)},
    opt_state=(),
    rng=jax.random.key(0),
)
SEEN = window_lib.Window(
    values={'loss': jnp.arange(5.0), 'gradient_norm': jnp.ones(5)},
    count=jnp.array(7),
    skipped=jnp.array(2),
)


def shapes(state):
  return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
      state,
  )


def metadata(state):
  """Returns what Orbax knows of a saved state."""
  saved = {'step': types.SimpleNamespace(shape=())}
  if isinstance(state, window_lib.WatchedState):
    values = {
        key: types.SimpleNamespace(shape=x.shape)
        for key, x in state.window.values.items()
    }
    saved['window'] = {'values': values}
  return saved


@pytest.mark.parametrize('saved', [None, SEEN], ids=['saved none', 'saved 5'])
@pytest.mark.parametrize(
    'wanted',
    [None, window_lib.empty(5), window_lib.empty(6)],
    ids=['wants none', 'wants 5', 'wants 6'],
)
def test_restored_state_has_the_window_that_the_run_wants(saved, wanted):
  on_disk = window_lib.with_window(STATE, saved) if saved else STATE
  run = window_lib.with_window(STATE, wanted) if wanted else STATE
  asked_for = window_lib.as_saved(shapes(run), metadata(on_disk))
  assert jax.tree.structure(asked_for) == jax.tree.structure(on_disk)
  assert asked_for == shapes(on_disk)

  state = window_lib.as_wanted(on_disk, shapes(run))
  assert shapes(state) == shapes(run)
  np.testing.assert_array_equal(state.params['kernel'], [0, 1, 2, 3])
  if wanted:
    is_kept = saved is not None and wanted.values['loss'].size == 5
    expected = saved if is_kept else wanted
    jax.tree.map(np.testing.assert_array_equal, state.window, expected)


def test_state_without_window_or_ema_is_saved_without_a_trace_of_them():
  paths = [
      jax.tree_util.keystr(path)
      for path, _ in jax.tree_util.tree_leaves_with_path(
          STATE.parts(), is_leaf=lambda x: x is None
      )
  ]
  assert paths == ["['params']['kernel']", "['rng']", "['step']"]
