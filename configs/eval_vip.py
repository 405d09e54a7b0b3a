"""VIP mIoU without training, as in the released RVM evaluation.

  python -m rvm_jax.evals.run --config=configs/eval_vip.py \
      --config.data_dir=/data/VIP --checkpoint=PATH --out=results/vip

The data set: docs/datasets/vip.md. The paper has 38.0 for RVM-L.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'vip'
  config.data_dir = config_dict.placeholder(str)  # The folder VIP.
  config.protocol = ml_collections.ConfigDict(
      dict(
          height=448,  # Pixels that the encoder sees: 28 x 55 patches of 16.
          width=880,
          propagation=dict(  # As for DAVIS, but ten patches vote.
              num_context=20, temperature=0.7, top_k=10, radius=20
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
