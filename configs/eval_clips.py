"""Your own labelled videos: top-1 accuracy of a readout of frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_clips.py \
      --config.data_dir=/data/clips.csv --checkpoint=PATH \
      --workdir=runs/clips --out=results/clips

The data are a .csv file with the header path,label or path,label,split, or a
folder with one folder for each class (docs/datasets/clips.md). All values are
our own choices, for a few hundred to a few thousand videos.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  config = readouts.get_config(
      'clips',
      sampling=dict(
          frame_rate=6.0,  # Frames per second.
          squash=False,  # The largest square, not the whole frame.
      ),
      train=dict(
          num_clips=1,  # Clips of a video.
          # The next three take effect only with training.is_augmented=True.
          crop_area=(0.3, 1.0),  # Area, as a share of the largest square.
          crop_aspect=(3 / 4, 4 / 3),  # Width / height of a crop.
          flip=0.0,  # No flips, because classes may tell left from right.
          max_bad_share=0.0,  # Largest share of bad videos.
      ),
      test=dict(
          num_clips=1,
          num_crops=1,
          max_bad_share=0.0,
      ),
      head=dict(num_params=768, num_heads=12),
  )
  # With is_kept=True each video is encoded only once, and fitting takes
  # minutes.
  config.protocol.features.is_kept = True
  config.protocol.training.update(
      is_augmented=False,
      num_steps=2000,
      # There is only one, because a few test videos are too few to choose among
      # several.
      learning_rates=(3e-4,),
      warmup_steps=100,
  )
  return config
