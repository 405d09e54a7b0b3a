"""Something-Something v2: top-1 accuracy of a readout of frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_ssv2.py \
      --config.data_dir=/data/SSV2 --checkpoint=PATH \
      --workdir=runs/ssv2 --out=results/ssv2

docs/datasets/ssv2.md says how to get the data. The RVM paper reports 66.7 for
RVM-L. [O] marks our own choices, where the paper's value is not known.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  return readouts.get_config(
      'ssv2',
      sampling=dict(
          frame_rate=6.0,  # [O] Frames per second.
          squash=False,  # [O] The largest square, not the whole frame.
      ),
      train=dict(
          num_clips=1,  # Clips of a video.
          # [O] Area of a crop, as a share of the largest square.
          crop_area=(0.3, 1.0),
          crop_aspect=(3 / 4, 4 / 3),  # [O] Width / height of a crop.
          flip=0.0,  # No flips, because classes tell left from right.
          max_bad_share=0.01,  # [O] Largest share of bad videos.
      ),
      test=dict(
          num_clips=1,  # [O]
          num_crops=1,  # [O]
          max_bad_share=0.0,
      ),
      head=dict(num_params=768, num_heads=12),
  )
