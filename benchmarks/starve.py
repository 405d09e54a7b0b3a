"""Finds the speed at which a run begins to wait for its data.

    python -m benchmarks.starve VIDEOS --pixels=64 --num_workers=2

Runs the training loop on a source, with steps that do nothing but take a given
time, as if on an accelerator. Each row of the table is such a run. In the first
one a step takes no time, so that its clips a second are the most that this
machine reads. In the others the duration of a step asks for a share of that
rate. The column `waiting` is what a run's progress line calls "waiting for
data".
"""

import argparse
import os
import tempfile
import time

from absl import flags
from absl import logging
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs import rvm_base
from rvm_jax.data import pipeline
from rvm_jax.storage import json_lines
from rvm_jax.training import loop

# Shares of the greatest rate that the rows ask for.
SHARES = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1)
# Number of progress lines of a run. Only the second half of them counts,
# because the first steps compile and use up what was read ahead.
NUM_INTERVALS = 4


class Pause:
  """An objective with one parameter, whose loss takes a given time.

  Attributes:
    batch: shapes of the arrays that the loss takes, by name.
  """

  def __init__(self, config: ml_collections.ConfigDict, seconds: float):
    """Takes the shape of the batches from a config.

    Args:
      config: config of the run.
      seconds: duration of a step.
    """
    data = config.data
    shape = (data.num_source, data.height, data.width, 3)
    self.batch = {
        'source': jax.ShapeDtypeStruct((data.batch_size, *shape), 'uint8')
    }
    self._seconds = seconds

  def init(self, rng):
    """Returns the initial parameters, of which there is one."""
    del rng
    return {'mean': jnp.ones(1)}

  def sample(self, rng, batch):
    """Returns the arguments of `loss` after the parameters."""
    del rng
    return (batch['source'],)

  def loss(self, params, frames):
    """Pauses and returns a loss.

    Args:
      params: the parameters.
      frames: source frames, uint8 [B, T, H, W, 3].
    """

    def pause(_):
      time.sleep(self._seconds)
      return np.zeros((), np.float32)

    # The pause depends on a pixel, so that it waits for the batch.
    shape = jax.ShapeDtypeStruct((), 'float32')
    paused = jax.pure_callback(pause, shape, frames[0, 0, 0, 0, 0])
    return jnp.square(params['mean']).mean() + paused

  def cast(self, params):
    """Returns the parameters as they are."""
    return params

  def is_core(self, path):
    """Returns whether a parameter is one of a recurrent core: none is."""
    del path
    return False


def get_config(options: argparse.Namespace) -> ml_collections.ConfigDict:
  """Returns the config of the runs, without saving and evaluating midway."""
  config = rvm_base.get_config()
  config.log_every = max(1, options.num_steps // NUM_INTERVALS)
  config.num_steps = NUM_INTERVALS * config.log_every
  config.eval_every = config.num_steps
  config.checkpoint.save_every = config.num_steps
  config.optimizer.warmup_steps = 1
  config.data.update(
      sources=(options.source,),
      weights=(1.0,),
      batch_size=options.batch_size,
      max_gap=options.max_gap,
      height=options.pixels,
      width=options.pixels,
      num_workers=options.num_workers,
  )
  return config


def measure(
    config: ml_collections.ConfigDict, seconds: float
) -> tuple[float, float]:
  """Trains with steps that take a given time.

  Args:
    config: config of the run.
    seconds: duration of a step.

  Returns:
    Clips a second, and the share of the time in which the loop waits for data,
    in [0, 1]. Both are of the second half of the run.
  """
  stream = pipeline.Pipeline(**config.data, seed=config.seed)
  with tempfile.TemporaryDirectory() as folder:
    loop.train(config, folder, Pause(config, seconds), stream, {})
    lines = json_lines.read(os.path.join(folder, 'metrics.jsonl'))
  found = [x for x in lines if 'train/data_wait' in x][NUM_INTERVALS // 2 :]
  return tuple(
      float(np.mean([x[f'train/{key}'] for x in found]))
      for key in ('clips_per_second', 'data_wait')
  )


def main(arguments: list[str] | None = None):
  """Measures and prints the table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('source', help='source of a run, such as a folder')
  parser.add_argument(
      '--pixels', type=int, default=256, help='height and width of samples'
  )
  # These three are settings of config.data.
  parser.add_argument('--batch_size', type=int, default=16)
  parser.add_argument('--max_gap', type=int, default=48)
  parser.add_argument('--num_workers', type=int, default=os.cpu_count())
  parser.add_argument(
      '--num_steps', type=int, default=80, help='steps of each run'
  )
  parser.add_argument(
      '--shares',
      type=float,
      nargs='*',
      default=SHARES,
      help='shares of the greatest rate to ask for, one row each',
  )
  options = parser.parse_args(arguments)
  # Workers read absl's flags.
  flags.FLAGS.mark_as_parsed()
  logging.set_verbosity(logging.ERROR)
  config = get_config(options)
  print('| ms a step | clips a second asked for | done | waiting |')
  print('|---|---|---|---|')
  most, waiting = measure(config, 0.0)
  print(f'| 0 | as many as can be | {most:.0f} | {waiting:.1%} |', flush=True)
  for share in options.shares:
    seconds = options.batch_size / most / share
    done, waiting = measure(config, seconds)
    print(
        f'| {1e3 * seconds:.0f} | {share * most:.0f} ({share:.0%}) | {done:.0f}'
        f' | {waiting:.1%} |',
        flush=True,
    )


if __name__ == '__main__':
  main()
