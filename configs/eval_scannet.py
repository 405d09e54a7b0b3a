"""ScanNet: depth by a readout trained on frozen features.

  python -m rvm_jax.evals.run --config=configs/eval_scannet.py \
      --config.data_dir=/data/SCANNET --checkpoint=PATH \
      --workdir=runs/scannet --out=results/scannet

docs/datasets/scannet.md says how to get the data. The RVM paper reports 0.91
for RVM-L, according to a secondary source; this is probably ten times AbsRel.
[O] marks our own choices, where the paper's value is not known.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  return readouts.get_config(
      'scannet',
      sampling=dict(
          frame_rate=12.0,  # [O] Frames per second.
          squash=False,  # [O] The largest square, not the whole frame.
      ),
      train=dict(
          num_clips=4,  # [O] Clips of a scan.
          # [O] Area of a crop, as a share of the largest square. Smaller crops
          # would make things look nearer than they are.
          crop_area=(0.8, 1.0),
          flip=0.5,  # [O] Probability of a horizontal flip.
      ),
      test=dict(num_clips=4),  # [O]
      head=dict(
          num_params=1024,
          num_heads=16,
          patch=(2, 8, 8),  # Frames, rows and columns of a query.
          query_chunk=784,  # [O] Queries computed at once, to save memory.
      ),
  )
