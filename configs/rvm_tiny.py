"""The checkpoint `rvm_tiny`, on generated scenes: the demo's model, for longer.

  python -m rvm_jax.main --config=configs/rvm_tiny.py --workdir=runs/rvm_tiny

The model and its settings are those of configs/rvm_demo.py, with five times the
steps. rvm_jax/weights/checkpoints/rvm_tiny.md has its scores.
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.num_steps = 8000
  # The sum of learning rate times weight decay over the steps, by whose
  # exponential the core's weights shrink, is that of the demo.
  config.optimizer.core_weight_decay = 0.6
  config.checkpoint.save_every = 500
  config.eval_every = 1000
  return config
