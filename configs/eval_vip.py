"""VIP: mIoU of propagated masks, as in the released RVM evaluation.

  python -m rvm_jax.evals.run --config=configs/eval_vip.py \
      --config.data_dir=/data/VIP --checkpoint=PATH --out=results/vip

docs/datasets/vip.md describes the data set and the scores. The paper reports
38.0 for RVM-L.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'vip'
  # The folder VIP.
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          # Size in pixels of the frames that the encoder gets. At a patch size
          # of 16 that is 28 x 55 patches.
          height=448,
          width=880,
          # Except for top_k, the same values as in eval_davis.py, which
          # explains them.
          propagation=dict(
              num_context=20,
              temperature=0.7,
              top_k=10,
              radius=20,
              center_frames=config_dict.placeholder(bool),
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
