"""The checkpoint `rvm_tiny`, on generated scenes: the demo's model, for longer.

  python -m rvm_jax.main --config=configs/rvm_tiny.py --workdir=runs/rvm_tiny

The model is that of configs/rvm_demo.py, with `content_first`. Five times the
steps and more of each target frame visible let its decoder learn to look for
things where they were. docs/results.md compares the two.
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.num_steps = 8000
  config.mask_ratio = 0.6
  config.model.content_first = True
  # The sum of learning rate times weight decay over the steps, by whose
  # exponential the core's weights shrink, is that of the demo.
  config.optimizer.update(learning_rate=2e-3, core_weight_decay=0.6)
  config.checkpoint.save_every = 500
  config.eval_every = 1000
  return config
