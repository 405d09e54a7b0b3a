"""ScanNet, depth by a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_scannet.py \
      --config.data_dir=/data/SCANNET --checkpoint=PATH \
      --workdir=runs/scannet --out=results/scannet

The data set: docs/datasets/scannet.md. The paper is said to have 0.91 for
RVM-L, probably ten times AbsRel. Marked [O]: ours, as the paper's value is not
known.
"""

import ml_collections
from ml_collections import config_dict

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'scannet'
  config.data_dir = config_dict.placeholder(str)
  config.protocol = ml_collections.ConfigDict(
      dict(
          sampling=dict(  # See `rvm_jax.evals.datasets.sampling.Sampling`.
              num_frames=16,
              frame_rate=12.0,  # [O] Frames per second.
              height=224,
              width=224,
              squash=False,  # [O] The largest square, not the whole frame.
          ),
          train=dict(
              num_clips=4,  # [O] Of a scan.
              crop_area=(0.8, 1.0),  # [O] Little: it says how far things are.
              flip=0.5,  # [O]
          ),
          test=dict(num_clips=4),  # [O]
          head=dict(
              num_params=1024,
              num_heads=16,
              patch=(2, 8, 8),  # Frames, rows and columns of a query.
              query_chunk=784,  # [O] Queries at once: a matter of memory.
          ),
          features=readouts.get_features(),
          training=readouts.get_training(),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
