"""Two processes save and restore checkpoints; the second one fails at both.

  python -m tests.training.two_processes ADDRESS PROCESS WORKDIR

Prints what this process has seen, as JSON in the last line.
"""

import errno
import json
import pathlib
import sys

from absl import logging
import jax
import numpy as np
import orbax.checkpoint as ocp

from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import step as step_lib

CONFIG = {'num_steps': 9, 'model': {}}


def make_state(step, mesh):
  """Returns a state whose kernel is split over the devices of a mesh."""
  split = jax.NamedSharding(mesh, jax.P('all'))
  whole = jax.NamedSharding(mesh, jax.P())
  kernel = (np.arange(2000.0, dtype='float32') + step).reshape(100, 20)

  def put(x, sharding):
    return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])

  state = step_lib.TrainState(
      step=put(np.asarray(step, np.int32), whole),
      params={'kernel': put(kernel, split)},
      opt_state=(),
      rng=None,
  )
  key = jax.jit(lambda: jax.random.key(step), out_shardings=whole)
  return state.replace(rng=key())


class FullDisk(ocp.StandardCheckpointHandler):
  """A handler that finds the disk full."""

  async def async_save(self, *args, **kwargs):
    raise OSError(errno.ENOSPC, 'No space left on device')


def main(address, process, workdir):
  """Runs one of the processes."""
  jax.config.update('jax_cpu_collectives_implementation', 'gloo')
  jax.distributed.initialize(address, 2, int(process))
  is_second = jax.process_index() == 1
  mesh = jax.make_mesh((jax.device_count(),), ('all',))
  seen = {'steps': []}
  lines = []
  logging.warning = lambda text, *args: lines.append(text % args)
  checkpoints = checkpoints_lib.Checkpoints(
      workdir,
      save_every=2,
      keep_last=9,
      keep_every=9,
      verify=True,
      bucket=None,
      init_from=None,
      fresh_decoder=False,
  )
  handler = ocp.StandardCheckpointHandler
  for step in (2, 4, 6):
    # The disk of the second process is full at step 4.
    ocp.StandardCheckpointHandler = (
        FullDisk if is_second and step == 4 else handler
    )
    checkpoints.save(step, make_state(step, mesh), {'at': step}, CONFIG)
    checkpoints.wait()
    seen['steps'].append(checkpoint_files.find_steps(checkpoints.directory))
    if step == 4:
      try:
        checkpoints.finish(is_last=True)
      except checkpoints_lib.SaveError as error:
        seen['error'] = str(error)
  seen['last'] = checkpoints.last_saved()

  # Only the second process cannot read its part of step 6.
  read = checkpoint_files.read_state

  def fail(path, shapes):
    if is_second and path.name == '6':
      raise damage.DamagedError(path, 'unreadable')
    return read(path, shapes)

  checkpoint_files.read_state = fail
  state = make_state(0, mesh)
  shapes = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
      state,
  )
  restored, data = checkpoints.restore(shapes, CONFIG)
  checkpoints.close()
  expected = make_state(2, mesh)
  is_same = jax.jit(
      lambda a, b: (a == b).all(),
      out_shardings=jax.NamedSharding(mesh, jax.P()),
  )
  seen['restored'] = [
      int(restored.step),
      data,
      bool(is_same(restored.params['kernel'], expected.params['kernel'])),
  ]
  seen['warnings'] = lines
  seen['left'] = sorted(p.name for p in pathlib.Path(workdir).rglob('[0-9]*'))
  print(json.dumps(seen), flush=True)
  jax.distributed.shutdown()


if __name__ == '__main__':
  main(*sys.argv[1:])
