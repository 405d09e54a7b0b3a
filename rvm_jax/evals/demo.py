"""What the demo run has learned: `python -m rvm_jax.evals.demo --workdir=DIR`.

Instance masks of held-out scenes are carried from the first frame to the others
by feature similarity alone (`benchmarks.scene_masks`), with the run's features,
with those of the same network before training, and with plain pixels. Writes a
table to the screen and pictures to the workdir.
"""

import argparse
import functools
import os

import jax

from rvm_jax.data import scenes
from rvm_jax.evals import features
from rvm_jax.evals.benchmarks import scene_masks
from rvm_jax.models import rvm
from rvm_jax.training import checkpoints
from rvm_jax.viz import sheets

NUM_SCENES = 16
NUM_FRAMES = 24
SIZE = 128  # Pixels: smaller objects would be less than a patch.


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--workdir', required=True, help='of the run')
  args = parser.parse_args()
  config, params = checkpoints.load_run(args.workdir)
  model = rvm.RVM(**config['model'])
  untrained = 0
