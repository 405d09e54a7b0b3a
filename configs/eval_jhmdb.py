"""JHMDB: PCK of propagated joints, as in the released RVM evaluation.

  python -m rvm_jax.evals.run --config=configs/eval_jhmdb.py \
      --config.data_dir=/data/jhmdb --checkpoint=PATH --out=results/jhmdb

docs/datasets/jhmdb.md describes the data set and the scores. According to a
secondary source, the paper reports 48.4 at threshold 0.1 for RVM-L.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'jhmdb'
  # The folder jhmdb.
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          # Size in pixels of the frames that the encoder gets. At a patch size
          # of 16 that is 20 x 20 patches.
          height=320,
          width=320,
          # Largest distances of correct joints, in units of the person's size,
          # which `rvm_jax.evals.metrics.keypoints` defines.
          thresholds=(0.1, 0.2, 0.3, 0.4, 0.5),
          # The same values as in eval_davis.py, which explains them.
          propagation=dict(
              num_context=20,
              temperature=0.7,
              top_k=7,
              radius=20,
              center_frames=config_dict.placeholder(bool),
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
