"""DAVIS-2017 J&F without training, as in the released RVM evaluation.

  python -m rvm_jax.evals.run --config=configs/eval_davis.py \
      --config.data_dir=/data/DAVIS --checkpoint=PATH --out=results/davis

The data set: docs/datasets/davis.md. The paper has 66.0 for RVM-L.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'davis'
  # The folder DAVIS, or davis/480p/2.1.0 of tensorflow-datasets.
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          height=480,  # Pixels that the encoder sees: 30 x 55 patches of 16.
          width=880,
          # Frames: J&F by the time since the labels, of videos of more than 80.
          horizons=(16, 32, 48, 64, 80),
          propagation=dict(
              num_context=20,  # Frames before, besides the first.
              temperature=0.7,  # Of the softmax over affinities.
              top_k=7,  # Patches that vote.
              radius=20,  # In patches: how far a patch may have moved.
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
