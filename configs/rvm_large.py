"""RVM-L: the large model with the paper's recipe.

  python -m rvm_jax.main --config=configs/rvm_large.py --workdir=runs/large \
      --config.data.sources="('/data/videos',)"

Hardware: a step at batch 2048 is 5.7 PFLOP: 17 days for a million steps on
eight H100s at half of 989 TFLOP/s each (arithmetic, not measured). Memory
(computed): 6.6 GB of state where it is not split, 0.80 GB a clip with remat
'dots'. On eight H100s set `num_microbatches=4`; on devices of 16 GB also
`fsdp=8`.
"""

import ml_collections

from configs import rvm_base
from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.model.update(rvm.SIZES['L'])
  return config
