"""Shows what a run has learned, on held-out generated scenes.

  python -m rvm_jax.evals.scenes.demo --workdir=DIR

Instance masks are propagated from the first frame to the others by similarity
of features alone (`scenes.masks`): with the features of the run, with those of
the same network before training, and with plain pixels. Prints a table and
writes pictures.
"""

import argparse
from collections.abc import Mapping, Sequence
import functools
import os
from typing import Any

import jax
import ml_collections
import optax

from rvm_jax import weights
from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.encoders import rvm as rvm_encoder
from rvm_jax.evals.scenes import masks
from rvm_jax.training import step
from rvm_jax.training.objectives import pretraining
from rvm_jax.viz import sheets

NUM_SCENES = 16
NUM_FRAMES = 24  # One second.
NUM_SHOWN = 3


def main(arguments: Sequence[str] | None = None):
  """Runs the demo that the command line asks for."""
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.scenes.demo',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--workdir', required=True, help='folder of the run')
  parser.add_argument(
      '--size', type=int, default=64, help='height and width in pixels'
  )
  args = parser.parse_args(arguments)

  config, model, params = weights.load_run(args.workdir)
  # The parameters that the run started from.
  objective = pretraining.from_config(ml_collections.ConfigDict(config))
  init = functools.partial(
      step.init_state, objective, optax.identity(), config['seed']
  )
  untrained = jax.jit(init)().params
  encoders = {
      'raw pixels': pixels.make(model.patch),
      'untrained': rvm_encoder.from_model('untrained', model, untrained),
      'trained': rvm_encoder.from_model('trained', model, params),
  }
  scenes = generate_scenes(config['seed'], args.size)
  results = {
      name: masks.evaluate(encoder, scenes, {})
      for name, encoder in encoders.items()
  }
  print(tabulate(results, args.size))
  for i in range(NUM_SHOWN):
    path = os.path.join(args.workdir, 'pictures', f'masks_{i}.png')
    shown = {'ground truth': results['trained']['ground_truth'][i]}
    shown |= {name: x['predictions'][i] for name, x in results.items()}
    sheets.save_png(path, sheets.mask_sheet(scenes[i].frames, shown))
    print(f'Wrote {path}')


def generate_scenes(seed: int, size: int) -> list[source_lib.Scene]:
  """Generates held-out scenes of the seed that a run was trained with.

  Args:
    seed: the run's seed.
    size: height and width in pixels.
  """
  source = source_lib.Scenes(NUM_SCENES, size, size, seed, split='held_out')
  return [
      source_lib.generate(
          source.scene_seed(i),
          frames=range(NUM_FRAMES),
          height=size,
          width=size,
      )
      for i in range(NUM_SCENES)
  ]


def tabulate(results: Mapping[str, Mapping[str, Any]], size: int) -> str:
  """Returns a table of scores for the terminal.

  Args:
    results: results of `masks.evaluate` by the encoder's name, 'trained' and
      'untrained' among them.
    size: height and width of the scenes in pixels.
  """
  lines = [
      (
          f'\nMasks of {results["trained"]["num_objects"]} objects propagated'
          f' through {NUM_SCENES} held-out scenes of {NUM_FRAMES} frames,'
          f' {size} x {size} pixels\n'
      ),
      f'{"features":12s} {"region overlap J":>17s} {"J&F":>6s}',
  ]
  for name, result in results.items():
    lines.append(f'{name:12s} {result["j"]:17.3f} {result["j_and_f"]:6.3f}')
  rise = results['trained']['j'] / results['untrained']['j']
  lines.append(f'\nTraining raised the overlap {rise:.1f}-fold.')
  return '\n'.join(lines)


if __name__ == '__main__':
  main()
