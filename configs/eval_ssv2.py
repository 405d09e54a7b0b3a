"""Something-Something v2, top-1 of a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_ssv2.py \
      --config.data_dir=/data/SSV2 --checkpoint=PATH \
      --workdir=runs/ssv2 --out=results/ssv2

The data set: docs/datasets/ssv2.md. The paper has 66.7 for RVM-L. Marked [O]:
ours, as the paper's value is not known.
"""

import ml_collections
from ml_collections import config_dict

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'ssv2'
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          sampling=dict(  # See `rvm_jax.evals.datasets.sampling.Sampling`.
              num_frames=16,
              frame_rate=6.0,  # [O] Frames per second.
              height=224,  # [O] Pixels that the encoder sees.
              width=224,
              squash=False,  # [O] The largest square, not the whole frame.
          ),
          train=dict(
              num_clips=1,  # Of a video.
              crop_area=(0.3, 1.0),  # [O] Share of the largest square's area.
              crop_aspect=(3 / 4, 4 / 3),  # [O]
              flip=0.0,  # Classes tell left from right.
              max_bad_share=0.01,  # [O] Of videos that cannot be used.
          ),
          test=dict(
              num_clips=1,  # [O]
              num_crops=1,  # [O]
              max_bad_share=0.0,
          ),
          head=dict(num_params=768, num_heads=12),
          features=readouts.get_features(),
          training=readouts.get_training(),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
