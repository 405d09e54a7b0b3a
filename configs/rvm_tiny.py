"""The checkpoint `rvm_tiny` in the package: the demo with finer patches.

  python -m rvm_jax.main --config=configs/rvm_tiny.py --workdir=runs/rvm_tiny

Compared with configs/rvm_demo.py, patches have 4 x 4 pixels in place of 8 x 8.
They show outlines and small motions, and a frame has four times as many tokens.
Since there are more patches, 80 % of a target are hidden, so that those which
the model sees are about as far apart in pixels. The run is longer, and its
core's weights shrink as much in all. The checkpoint is the moving average of
the parameters. docs/results.md compares the two.
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
