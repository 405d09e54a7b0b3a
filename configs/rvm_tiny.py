"""The checkpoint `rvm_tiny` in the package: the demo's model with finer patches.

  python -m rvm_jax.main --config=configs/rvm_tiny.py --workdir=runs/rvm_tiny

It differs from configs/rvm_demo.py in patches of 4 x 4 pixels in place of 8 x 8,
which show outlines and small motions but make a frame four times as many tokens,
and in what follows from that: 80 % of a target is hidden, so that visible patches
are about as far apart in pixels, and the run is longer. The core's weights shrink
as much in all as in the demo. The checkpoint is the moving average of the
parameters. docs/results.md compares the two.
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.num_steps = 3000
  config.mask_ratio = 0.8
  config.ema_decay = 0.998
  config.model.patch = 4
  config.optimizer.update(warmup_steps=100, core_weight_decay=1.6)
  config.eval_every = 1000
  config.num_eval_scenes = 64
  return config
