"""The checkpoints that runs of the command `rvm_jax.main` leave."""

import json

import jax
import numpy as np
import orbax.checkpoint as ocp


def read(workdir, step):
  """Returns a saved state as arrays by path, and the position in the data."""
  path = workdir / 'checkpoints' / str(step)
  with ocp.PyTreeCheckpointer() as checkpointer:
    shapes = checkpointer.metadata(path / 'state').item_metadata.tree
    state = checkpointer.restore(
        path / 'state',
        restore_args=jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes
        ),
    )
  data = json.loads((path / 'data' / 'metadata').read_text())
  # Whether a stop has kept the state from being evaluated is no position.
  del data['is_evaluation_due']
  return {
      jax.tree_util.keystr(key): np.asarray(leaf)
      for key, leaf in jax.tree_util.tree_leaves_with_path(state)
  }, data


def assert_same_end(workdir, other):
  state, data = read(workdir, 6)
  expected, expected_data = read(other, 6)
  assert data == expected_data
  assert state.keys() == expected.keys()
  for key, array in expected.items():
    assert state[key].tobytes() == array.tobytes(), key
