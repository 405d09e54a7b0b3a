"""RVM-H: the huge model with the paper's recipe.

  python -m rvm_jax.main --config=configs/rvm_huge.py --workdir=runs/huge \
      --config.data.sources="('/data/videos',)" --config.fsdp=8

Hardware: a step at batch 2048 is 10.7 PFLOP: 31 days for a million steps on
eight H100s at half of 989 TFLOP/s each (arithmetic, not measured). Memory
(computed): 12.5 GB of state where it is not split, 1.2 GB a clip with remat
'dots'. On eight H100s set `num_microbatches=8`; on devices of 16 GB `fsdp` of 8
or more.
"""

import ml_collections

from configs import rvm_base
from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.model.update(rvm.SIZES['H'])
  return config
