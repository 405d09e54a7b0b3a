"""Perception Test, points followed by a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_perception_test.py \
      --config.data_dir=/data/PT --checkpoint=PATH \
      --workdir=runs/perception_test --out=results/perception_test

The data set: docs/datasets/perception_test.md. The paper has an AJ of 77.3 for
RVM-L, on clips that are not known. Marked [O]: ours, as the paper's value is
not known.
"""

import ml_collections
from ml_collections import config_dict

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'perception_test'
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          sampling=dict(  # See `rvm_jax.evals.datasets.sampling.Sampling`.
              num_frames=16,
              frame_rate=12.0,  # [O] Frames per second.
              height=224,  # [O] Pixels that the encoder sees.
              width=224,
              squash=True,  # [O] The whole frame, as TAP-Vid has it.
          ),
          train=dict(
              num_clips=4,  # [O] Of a video.
              crop_area=(0.3, 1.0),  # [O] Share of the frame's area.
              crop_aspect=(3 / 4, 4 / 3),  # [O] Times that of the frame.
              flip=0.5,  # [O]
              num_points=64,  # [O] Of a clip, a random choice if it has more.
              max_bad_share=0.0,  # Of videos that cannot be used.
          ),
          test=dict(
              num_clips=4,  # [O]
              max_bad_share=0.0,
          ),
          head=dict(
              num_params=1024,
              num_heads=8,
              query_width=512,
              num_bases=16,  # Octaves of the Fourier features.
              frames_per_query=2,
          ),
          features=readouts.get_features(),
          training=readouts.get_training(),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
