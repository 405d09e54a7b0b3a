"""RVM-H: the huge model with the paper's recipe.

  python -m rvm_jax.main --config=configs/rvm_huge.py --workdir=runs/huge \
      --config.data.sources="('/data/videos',)" --config.fsdp=8

Hardware: a step of 2048 clips is 10.7 PFLOP, so that a million steps take 31
days on eight H100s at half of 989 TFLOP/s each (arithmetic, not measured).
Memory (computed): 12.5 GB for the training state, divided by `fsdp`, and 1.2 GB
for each clip of a microbatch with remat 'dots'. On eight H100s set
`num_microbatches=8`. On devices with 16 GB of memory set `fsdp` to 8 or more.
"""

import ml_collections

from configs import rvm_base
from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.model.update(rvm.SIZES['H'])
  return config
