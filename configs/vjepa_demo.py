"""A small V-JEPA on generated scenes, to compare with configs/rvm_demo.py.

  python -m rvm_jax.main --config=configs/vjepa_demo.py --workdir=runs/vjepa

The encoder is that of RVM's demo, and the predictor has the size of its
decoder. A clip has 8 frames, two frames apart, as in configs/eval_scenes.py,
which are 4 x 8 x 8 tubelets.

The learning rate is 1e-3, half of that of RVM's demo. At 4e-3, the variance of
the features, each normalised over its channels, fell within 61 steps to a
quarter of its value before training (2026-11-26, 12 clips of 8 frames).
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.objective = 'vjepa'
  # The objective hides the blocks of the paper instead of a share of the
  # patches.
  config.mask_ratio = 0.0
  for key in ('core_layers', 'core_heads', 'core_mlp', 'content_first'):
    del config.model[key]
  for key in ('width', 'layers', 'heads', 'mlp'):
    config.model[f'predictor_{key}'] = config.model[f'decoder_{key}']
    del config.model[f'decoder_{key}']
  # The source frames are the clip. Data have at least one target frame, which
  # is not used; it follows the clip.
  config.data.update(num_source=8, num_target=1, stride=2, max_gap=1)
  # With this value the EMA makes up half of a change in 70 steps, so that it
  # can follow a run of a thousand steps.
  config.ema_decay = 0.99
  config.optimizer.learning_rate = 1e-3
  return config
