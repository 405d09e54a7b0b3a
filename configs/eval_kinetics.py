"""Kinetics-700-2020: top-1 accuracy of a readout of frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_kinetics.py \
      --config.data_dir=/data/K700 --checkpoint=PATH \
      --workdir=runs/kinetics --out=results/kinetics

docs/datasets/kinetics.md says how to get the data. The RVM paper reports 57.3
for RVM-L, according to a secondary source. [O] marks our own choices, where the
paper's value is not known.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  return readouts.get_config(
      'kinetics',
      sampling=dict(
          frame_rate=6.0,  # [O] Frames per second.
          squash=False,  # [O] The largest square, not the whole frame.
      ),
      train=dict(
          num_clips=1,  # Clips of a video.
          # [O] Area of a crop, as a share of the largest square.
          crop_area=(0.3, 1.0),
          crop_aspect=(3 / 4, 4 / 3),  # [O] Width / height of a crop.
          flip=0.5,  # [O] Probability of a horizontal flip.
          # [O] Largest share of bad videos: many have vanished from YouTube.
          max_bad_share=0.1,
      ),
      test=dict(
          num_clips=1,  # [O]
          num_crops=1,  # [O]
          max_bad_share=0.1,  # [O]
      ),
      head=dict(num_params=1024, num_heads=16),
  )
