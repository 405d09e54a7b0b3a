"""RVM-S: the small model with the paper's recipe.

  python -m rvm_jax.main --config=configs/rvm_small.py --workdir=runs/small \
      --config.data.sources="('/data/videos',)"

Hardware: a step of 2048 clips is 1.0 PFLOP, so that a million steps take 30
days on one GPU that does 395 TFLOP/s, half of what an H200 does on large
products (arithmetic, not measured; the small products of this model are likely
to be slower). Memory (computed): 1.1 GB for the training state, and 0.27 GB for
each clip of a microbatch with remat 'dots'.

For the paper's ablations, which use this model, set `num_steps=250_000`.
"""

import ml_collections

from configs import rvm_base
from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.model.update(rvm.SIZES['S'])
  return config
