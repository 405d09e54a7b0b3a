"""Shows what a run has learned, on held-out generated scenes.

  python -m rvm_jax.evals.scenes.demo --workdir=DIR

The features of the run are compared with those of the same network before
training, and with raw pixels. Instance masks are propagated from the first
frame of each scene to its later frames by similarity of features alone
(`scenes.masks`), and the scores of configs/eval_scenes.py are measured on fewer
clips. The command prints a table and writes DIR/demo.html, a page that needs no
network and no other file.

The exit code is 0 if the page is written, and 2 if an argument or the run in
DIR cannot be used, or a file cannot be written.
"""

import argparse
from collections.abc import Mapping, Sequence
import functools
import os
import sys
from typing import Any

import jax
import ml_collections
import numpy as np
import optax

from rvm_jax import weights
from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals import report as report_lib
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.encoders import rvm as rvm_encoder
from rvm_jax.evals.in_training import scenes as scenes_lib
from rvm_jax.evals.propagation import still_masks
from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import demo_page
from rvm_jax.evals.scenes import demo_pictures
from rvm_jax.evals.scenes import history as history_lib
from rvm_jax.evals.scenes import masks
from rvm_jax.evals.scenes import verdicts
from rvm_jax.ops import patches
from rvm_jax.storage import files
from rvm_jax.training import reporting
from rvm_jax.training import step
from rvm_jax.training.objectives import pretraining

# Name of the page in the workdir.
PAGE = 'demo.html'
# Number of scenes through which masks are propagated.
NUM_SCENES = 16
# Number of frames of each of these scenes: one second.
NUM_FRAMES = 24
# Number of these scenes that the page shows as movies.
NUM_SHOWN = 3
# Settings of `label_propagation.propagate`, for every encoder.
PROPAGATION = dict(center_frames=True)


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the demo that the command line asks for; returns the exit code."""
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.scenes.demo',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
      '--workdir', required=True, help='workdir of a run of an RVM'
  )
  parser.add_argument(
      '--size',
      type=int,
      default=64,
      help='height and width of all scenes in pixels, a multiple of the side of'
      ' a patch (default: 64)',
  )
  parser.add_argument(
      '--num_clips',
      type=int,
      default=512,
      help='number of clips for the scores, at least 8: readouts are fitted to'
      ' three quarters of them and scored on the rest (default: 512)',
  )
  args = parser.parse_args(arguments)
  try:
    run(args.workdir, args.size, args.num_clips)
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


def run(workdir: str, size: int, num_clips: int):
  """Measures a run, prints the table and writes the page.

  Args:
    workdir: folder of the run.
    size: height and width of all scenes in pixels.
    num_clips: number of clips for the scores of `benchmark`.

  Raises:
    OSError: the run cannot be read, or the page cannot be written.
    ValueError: `num_clips` is below 8, `size` is not a multiple of the side of
      a patch, or the run has not trained an RVM.
  """
  if num_clips < 8:
    raise ValueError(f'--num_clips must be at least 8, got {num_clips}')
  print(f'Reading {workdir}', flush=True)
  config, model, params = weights.load_run(workdir)
  if size < model.patch or size % model.patch:
    raise ValueError(
        '--size must be a positive multiple of the side of a patch,'
        f' {model.patch}, got {size}'
    )
  encoders = make_encoders(config, model, params)

  print(f'Tracking masks through {NUM_SCENES} scenes', flush=True)
  scenes = generate_scenes(config['seed'], size)
  results = {
      name: masks.evaluate(encoder, scenes, PROPAGATION)
      for name, encoder in encoders.items()
  }
  ground_truth = results[verdicts.TRAINED]['ground_truth']
  still = masks.repeat(ground_truth, model.patch)
  results |= {
      text: masks.score_all(ground_truth, still[kind])
      | {'predictions': still[kind]}
      for kind, text in still_masks.KINDS.items()
  }

  reports = score(encoders, size, num_clips, config['data']['num_workers'])
  table = tabulate(results, size)
  shown = demo_pictures.draw(scenes[:NUM_SHOWN], results, workdir)
  history = history_lib.read(workdir)
  contents = demo_page.Contents(
      workdir=os.path.abspath(workdir),
      facts=list_facts(config, params, history),
      history=history,
      reconstructions=demo_pictures.read_reconstructions(workdir),
      movies=shown,
      panels=demo_pictures.PANELS,
      masks=results,
      about_masks=_describe_scenes(results, size),
      rows={name: report.rows for name, report in reports.items()},
      scores={name: report.scores for name, report in reports.items()},
      about_scores=(
          'A small readout for each task is fitted to the features of'
          f' {num_clips - num_clips // 4} clips of 8 frames and scored on'
          f' {num_clips // 4} others; for masks nothing is fitted.'
      ),
  )
  path = os.path.abspath(os.path.join(workdir, PAGE))
  # A page that exists is replaced only when the new one is complete.
  files.replace_text(path, demo_page.write(contents))
  print(table)
  print(f'\nOpen the page with the movies and all scores: {path}')


def make_encoders(
    config: Mapping[str, Any], model: Any, params: Mapping[str, Any]
) -> dict[str, encoder_lib.FrozenEncoder]:
  """Makes the three encoders that are compared.

  Args:
    config: config of the run, as nested dicts.
    model: the run's `rvm.RVM`.
    params: trained parameters of `model`.

  Returns:
    The encoders under the names `RAW`, `UNTRAINED` and `TRAINED` of `verdicts`.
  """
  # Initialize the parameters from the run's seed, as the run did. (A run with
  # `checkpoint.init_from` then replaced them.)
  objective = pretraining.from_config(ml_collections.ConfigDict(config))
  init = functools.partial(
      step.init_state, objective, optax.identity(), config['seed']
  )
  untrained = jax.jit(init)().params
  return {
      verdicts.RAW: pixels.make(model.patch),
      verdicts.UNTRAINED: rvm_encoder.from_model(
          verdicts.UNTRAINED, model, untrained
      ),
      verdicts.TRAINED: rvm_encoder.from_model(verdicts.TRAINED, model, params),
  }


def generate_scenes(seed: int, size: int) -> list[source_lib.Scene]:
  """Generates scenes that are held out from the training of a run.

  Args:
    seed: seed of the run.
    size: height and width of the frames in pixels.
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


def score(
    encoders: Mapping[str, encoder_lib.FrozenEncoder],
    size: int,
    num_clips: int,
    num_workers: int,
) -> dict[str, report_lib.Report]:
  """Returns the report of `benchmark` for each encoder, on the same clips.

  Args:
    encoders: encoders by name.
    size: height and width of the clips in pixels.
    num_clips: number of clips; readouts are scored on a quarter of them and
      fitted to the others.
    num_workers: number of processes that generate clips; 0 to generate them in
      this process.
  """
  num_test = num_clips // 4
  reports = {}
  for name, encoder in encoders.items():
    print(f'Scoring {num_clips} clips: {name}', flush=True)
    grid = patches.grid(size, size, encoder.patch)
    reports[name] = benchmark.evaluate(
        encoder,
        clips=scenes_lib.CLIPS | {'height': size, 'width': size},
        num_train=num_clips - num_test,
        num_test=num_test,
        num_workers=num_workers,
        propagation=scenes_lib.choose_propagation(*grid),
    )
  return reports


def list_facts(
    config: Mapping[str, Any],
    params: Mapping[str, Any],
    history: history_lib.History | None,
) -> dict[str, str]:
  """Returns facts about a run for the page, as text by name.

  Args:
    config: config of the run, as nested dicts.
    params: parameters of the run's model.
    history: scalars of the run; without them there are fewer facts.
  """
  num_params = sum(np.size(x) for x in jax.tree.leaves(params))
  data = config['data']
  facts = {
      'Parameters': f'{num_params / 1e6:.2f} million',
      'Trained on': ', '.join(data['sources']),
      'Frames': f'{data["height"]} x {data["width"]} pixels',
  }
  if history is not None:
    facts |= {
        'Steps': f'{history.steps[-1]}',
        'Clips': f'{history.clips}',
        'Time, evaluations included': reporting.format_seconds(history.seconds),
        'Loss at the end': f'{history.losses[-1]:.4f}',
    }
  return facts


def tabulate(results: Mapping[str, Mapping[str, Any]], size: int) -> str:
  """Returns a table of scores for the terminal.

  Args:
    results: results of `masks.score_all` by the name of their row. 'trained'
      and 'untrained' are two of the names.
    size: height and width of the scenes in pixels.
  """
  lines = [
      f'\n{_describe_scenes(results, size)}\n',
      f'{"features":28s} {"region overlap J":>17s} {"J&F":>6s}',
  ]
  for name, result in results.items():
    lines.append(f'{name:28s} {result["j"]:17.3f} {result["j_and_f"]:6.3f}')
  change = results['trained']['j'] - results['untrained']['j']
  lines.append(f'\nTraining changed the overlap by {change:+.3f}.')
  return '\n'.join(lines)


def _describe_scenes(results, size):
  """Returns a sentence on the scenes through which masks are propagated."""
  return (
      f'Masks of {results["trained"]["num_objects"]} objects propagated through'
      f' {NUM_SCENES} held-out scenes of {NUM_FRAMES} frames, {size} x'
      f' {size} pixels, by features without the mean of their frame.'
  )


if __name__ == '__main__':
  sys.exit(main())
