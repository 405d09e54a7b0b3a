"""A small SiamMAE on generated scenes, to compare with configs/rvm_demo.py.

  python -m rvm_jax.main --config=configs/siammae_demo.py --workdir=runs/siammae

Encoder, decoder and data are those of RVM's demo, except that there is one
source frame and no core. The optimizer has twice the learning rate. 90 % of a
target frame is hidden, not 95 % as in the paper, which would leave 3 of 64
patches visible.
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.objective = 'siammae'
  for key in ('core_layers', 'core_heads', 'core_mlp', 'content_first'):
    del config.model[key]
  config.data.num_source = 1
  # These values suit objectives that reconstruct from few visible patches.
  # RVM's demo has 0.6 and 2e-3.
  config.mask_ratio = 0.9
  config.optimizer.learning_rate = 4e-3
  return config
