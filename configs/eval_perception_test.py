"""Perception Test: points tracked by a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_perception_test.py \
      --config.data_dir=/data/PT --checkpoint=PATH \
      --workdir=runs/perception_test --out=results/perception_test

docs/datasets/perception_test.md says how to get the data. The RVM paper reports
an AJ of 77.3 for RVM-L, on clips that are not known. [O] marks our own choices,
where the paper's value is not known.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  return readouts.get_config(
      'perception_test',
      sampling=dict(
          frame_rate=12.0,  # [O] Frames per second.
          squash=True,  # [O] The whole frame, as in TAP-Vid.
      ),
      train=dict(
          num_clips=4,  # [O] Clips of a video.
          # [O] Area of a crop, as a share of the frame.
          crop_area=(0.3, 1.0),
          # [O] Aspect ratio of a crop, as a multiple of the frame's.
          crop_aspect=(3 / 4, 4 / 3),
          flip=0.5,  # [O] Probability of a horizontal flip.
          # [O] Points of a clip; random ones if it has more.
          num_points=64,
          max_bad_share=0.0,  # Largest share of bad videos.
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
  )
