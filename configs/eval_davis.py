"""DAVIS-2017: J&F of propagated masks, as in the released RVM evaluation.

  python -m rvm_jax.evals.run --config=configs/eval_davis.py \
      --config.data_dir=/data/DAVIS --checkpoint=PATH --out=results/davis

docs/datasets/davis.md describes the data set and the scores. The paper reports
66.0 for RVM-L.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'davis'
  # The folder DAVIS, or davis/480p/2.1.0 that tensorflow-datasets writes.
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          # Size in pixels of the frames that the encoder gets. At a patch size
          # of 16 that is 30 x 55 patches.
          height=480,
          width=880,
          # Numbers of frames. For each number there are scores over the frames
          # up to it, in the videos with more frames than the last number.
          horizons=(16, 32, 48, 64, 80),
          propagation=dict(
              # Previous frames that are searched, besides the first frame.
              num_context=20,
              # The similarities of patches are divided by this.
              temperature=0.7,
              # Number of most similar patches, whose labels are averaged.
              top_k=7,
              # Only patches of previous frames that are closer than this, in
              # patches, are searched. The first frame is searched everywhere.
              radius=20,
              # Whether the mean of each frame is subtracted from its features.
              # If this is not set, models with `content_first` do so and others
              # do not.
              center_frames=config_dict.placeholder(bool),
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
