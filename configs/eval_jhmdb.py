"""JHMDB PCK without training, as in the released RVM evaluation.

  python -m rvm_jax.evals.run --config=configs/eval_jhmdb.py \
      --config.data_dir=/data/jhmdb --checkpoint=PATH --out=results/jhmdb

The data set: docs/datasets/jhmdb.md. The paper is said to have 48.4 at 0.1 for
RVM-L.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'jhmdb'
  config.data_dir = config_dict.placeholder(str)  # The folder jhmdb.
  config.protocol = ml_collections.ConfigDict(
      dict(
          height=320,  # Pixels that the encoder sees: 20 x 20 patches of 16.
          width=320,
          thresholds=(0.1, 0.2, 0.3, 0.4, 0.5),  # See `metrics.keypoints`.
          propagation=dict(  # As for DAVIS.
              num_context=20, temperature=0.7, top_k=7, radius=20
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
