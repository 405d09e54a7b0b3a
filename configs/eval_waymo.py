"""Waymo Open, boxes followed by a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_waymo.py \
      --config.data_dir=/data/WAYMO --checkpoint=PATH \
      --workdir=runs/waymo --out=results/waymo

The data set: docs/datasets/waymo.md. The paper's score is not known. Marked
[O]: ours, as the paper's value is not known.
"""

import ml_collections
from ml_collections import config_dict

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'waymo'
  config.data_dir = config_dict.placeholder(str)
  objects = dict(
      num_clips=6,  # [O] Of a segment and camera.
      cameras=(1,),  # [O] The front one.
      min_area=0.005,  # [O] Share of the view; a smaller box is none.
      min_presence=0.7,  # [O] Share of the frames in which an object has a box.
  )
  config.protocol = ml_collections.ConfigDict(
      dict(
          sampling=dict(  # See `rvm_jax.evals.datasets.sampling.Sampling`.
              num_frames=16,
              frame_rate=5.0,  # [O] Frames per second.
              height=224,  # [O] Pixels that the encoder sees.
              width=224,
              squash=False,  # [O] The largest square, not the whole frame.
          ),
          train=dict(
              **objects,
              crop_area=(0.5, 1.0),  # [O] Share of the largest square's area.
              flip=0.5,  # [O]
              num_objects=25,  # [O] Of a clip, a random choice if it has more.
          ),
          test=dict(**objects),
          head=dict(
              num_params=1024,
              num_heads=4,
              query_width=512,
              num_bases=16,  # Octaves of the Fourier features.
          ),
          features=readouts.get_features(),
          training=readouts.get_training(),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
