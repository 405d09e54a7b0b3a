"""What a run has learned: `python -m rvm_jax.evals.scenes.demo --workdir=DIR`.

Instance masks of held-out generated scenes are carried from the first frame to
the others by similarity of features alone (`scenes.masks`): with the
features of the run, with those of the same network before training, and with
plain pixels. Prints a table and writes a sheet of pictures.
"""

import argparse
import os

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


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--workdir', required=True, help='of the run')
  parser.add_argument('--size', type=int, default=64, help='pixels a side')
  args = parser.parse_args()

  config, model, params = weights.load_run(args.workdir)
  objective = pretraining.Pretraining(
      model,
      pretraining.batch_shapes(ml_collections.ConfigDict(config['data'])),
      config['mask_ratio'],
  )
  untrained = jax.jit(
      lambda: step.init_state(
          objective, optax.identity(), config['seed']
      ).params
  )()
  source = source_lib.Scenes(
      NUM_SCENES, args.size, args.size, config['seed'], split='held_out'
  )
  scenes = [
      source_lib.generate(
          source.scene_seed(i),
          frames=range(NUM_FRAMES),
          height=args.size,
          width=args.size,
      )
      for i in range(NUM_SCENES)
  ]
  methods = {
      'raw pixels': pixels.make(model.patch),
      'untrained': rvm_encoder.from_model('untrained', model, untrained),
      'trained': rvm_encoder.from_model('trained', model, params),
  }
  results = {
      name: masks.evaluate(method, scenes) for name, method in methods.items()
  }

  truth = results['trained']['true']
  print(
      f'\nMasks of {results["trained"]["num_objects"]} objects carried through'
      f' {NUM_SCENES} held-out scenes of {NUM_FRAMES} frames,'
      f' {args.size} x {args.size} pixels\n'
  )
  print(f'{"features":12s} {"region overlap J":>17s} {"J&F":>6s}')
  for name, result in results.items():
    print(f'{name:12s} {result["j"]:17.3f} {result["j_and_f"]:6.3f}')
  rise = results['trained']['j'] / results['untrained']['j']
  print(f'\nTraining raised the overlap {rise:.1f}-fold.')
  for i in range(NUM_SHOWN):
    sheet = sheets.mask_sheet(
        scenes[i].frames,
        {'truth': truth[i]}
        | {name: result['predicted'][i] for name, result in results.items()},
    )
    path = os.path.join(args.workdir, 'pictures', f'masks_{i}.png')
    sheets.save_png(path, sheet)
    print(f'Wrote {path}')


if __name__ == '__main__':
  main()
