"""Measures what saving and restoring a checkpoint cost, and what digests add.

  python benchmarks/checkpoints.py --megabytes=300

Saves and restores the state of an RVM with AdamW of about the given size. The
table has the seconds of the first time, which compiles the digests, and the
median of the later times:
  digests: dispatch        until the loop may go on, if digests are computed
                           alone.
  digests: until read      until these digests are on the host.
  save returns             until the loop may go on after a save.
  checkpoint is whole      until the saved checkpoint is complete on disk.
  read without verifying   reading the arrays, without comparing digests.
  restore                  reading the newest checkpoint and comparing digests.
  last_saved               `Checkpoints.last_saved`: finding the newest good
                           checkpoint, which compares digests too.
"""

import argparse
import os
import statistics
import tempfile
import time

from absl import logging
import jax
import jax.numpy as jnp
import optax

from rvm_jax.models import rvm
from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import digests
from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import step as step_lib
from rvm_jax.weights import released

# The part of a config that saving and restoring look at.
CONFIG = {'num_steps': 10**9, 'model': {}}


def make_state(megabytes: int) -> step_lib.TrainState:
  """Returns a training state of about this size, with RVM-S's heads and layers.

  Args:
    megabytes: size of parameters and moments in MB (10 ** 6 bytes).
  """
  # Size in MB at a width of 384: parameters and two moments, 4 bytes each. It
  # grows with the square of the width, which must be divisible by the heads.
  base = 34.4e6 * 12 / 1e6
  width = max(48, round(384 * (megabytes / base) ** 0.5 / 48) * 48)
  model = rvm.RVM(
      width=width,
      encoder_layers=12,
      encoder_heads=6,
      encoder_mlp=4 * width,
      core_layers=4,
      core_heads=6,
      core_mlp=4 * width,
      decoder_width=width // 2,
      decoder_layers=4,
      decoder_heads=6,
      decoder_mlp=2 * width,
      patch=16,
  )
  leaves, tree = jax.tree.flatten(released.shapes(model))
  keys = jax.random.split(jax.random.key(0), len(leaves))
  params = tree.unflatten(
      [
          jax.random.normal(key, leaf.shape)
          for key, leaf in zip(keys, leaves, strict=True)
      ]
  )
  # Moments as random as the parameters, instead of zeros.
  moments = jax.tree.map(lambda x: x * x, params)
  opt_state = optax.adamw(1e-3).init(params)
  opt_state = (
      opt_state[0]._replace(mu=moments, nu=jax.tree.map(jnp.sqrt, moments)),
      *opt_state[1:],
  )
  return step_lib.TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=opt_state,
      rng=jax.random.key(1),
  )


def timed(function, *arguments):
  """Calls a function; returns its result and the seconds that it took."""
  began = time.perf_counter()
  result = function(*arguments)
  return result, time.perf_counter() - began


def main():
  """Measures with the settings of the command line and prints the table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--megabytes', type=int, default=300, help='size of the state'
  )
  parser.add_argument(
      '--repeats', type=int, default=5, help='times each, after the first'
  )
  options = parser.parse_args()
  logging.set_verbosity(logging.WARNING)
  state = jax.block_until_ready(make_state(options.megabytes))
  leaves = jax.tree.leaves(state)
  size = sum(x.nbytes for x in leaves) / 1e6
  print(f'{len(leaves)} arrays, {size:.0f} MB, on {jax.devices()[0]}')

  rows: dict[str, list[float]] = {}

  def note(name, seconds):
    rows.setdefault(name, []).append(seconds)

  with tempfile.TemporaryDirectory() as workdir:
    checkpoints = checkpoints_lib.Checkpoints(
        workdir,
        save_every=1,
        keep_last=2,
        keep_every=10**9,
        verify=True,
        bucket=None,
        init_from=None,
        fresh_decoder=False,
    )
    for step in range(1, options.repeats + 2):
      pending, seconds = timed(digests.start, state)
      note('digests: dispatch', seconds)
      note('digests: until read', seconds + timed(pending.result)[1])
      _, seconds = timed(checkpoints.save, step, state, {}, CONFIG)
      note('save returns', seconds)
      note('checkpoint is whole', seconds + timed(checkpoints.wait)[1])
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
        state,
    )
    folder = checkpoints.directory
    for _ in range(options.repeats + 1):
      newest = folder / str(checkpoint_files.find_steps(folder)[-1])
      _, seconds = timed(checkpoint_files.read_state, newest, shapes)
      note('read without verifying', seconds)
      note('restore', timed(checkpoints.restore, shapes, CONFIG)[1])
      note('last_saved', timed(checkpoints.last_saved)[1])
    checkpoints.close()

  print(f'{"":24s}{"first, s":>10s}{"median, s":>12s}')
  for name, (first, *others) in rows.items():
    print(f'{name:24s}{first:10.3f}{statistics.median(others):12.3f}')


if __name__ == '__main__':
  os.environ.setdefault('JAX_PLATFORMS', 'cpu')
  main()
