"""Waymo Open: boxes tracked by a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_waymo.py \
      --config.data_dir=/data/WAYMO --checkpoint=PATH \
      --workdir=runs/waymo --out=results/waymo

docs/datasets/waymo.md says how to get the data. The RVM paper's score is not
known. [O] marks our own choices, where the paper's value is not known.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  objects = dict(
      num_clips=6,  # [O] Clips of each camera of a segment.
      cameras=(1,),  # [O] The front camera.
      # [O] Least area of a box, as a share of the crop.
      min_area=0.005,
      # [O] Least share of the frames in which an object must have a box.
      min_presence=0.7,
  )
  return readouts.get_config(
      'waymo',
      sampling=dict(
          frame_rate=5.0,  # [O] Frames per second.
          squash=False,  # [O] The largest square, not the whole frame.
      ),
      train=dict(
          **objects,
          # [O] Area of a crop, as a share of the largest square.
          crop_area=(0.5, 1.0),
          flip=0.5,  # [O] Probability of a horizontal flip.
          # [O] Objects of a clip; random ones if it has more.
          num_objects=25,
      ),
      test=objects,
      head=dict(
          num_params=1024,
          num_heads=4,
          query_width=512,
          num_bases=16,  # Octaves of the Fourier features.
      ),
  )
