"""RVM-L: the large model with the paper's recipe.

  python -m rvm_jax.main --config=configs/rvm_large.py --workdir=runs/large \
      --config.data.sources="('/data/videos',)"

Hardware: a step of 2048 clips is 5.7 PFLOP, so that a million steps take 17
days on eight H100s at half of 989 TFLOP/s each (arithmetic, not measured).
Memory (computed): 6.6 GB for the training state, divided by `fsdp`, and 0.80 GB
for each clip of a microbatch with remat 'dots'. On eight H100s set
`num_microbatches=4`. On devices with 16 GB of memory set `fsdp=8` too.
"""

import ml_collections

from configs import rvm_base
from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.model.update(rvm.SIZES['L'])
  return config
