"""A small V-JEPA on generated scenes, to compare with configs/rvm_demo.py.

  python -m rvm_jax.main --config=configs/vjepa_demo.py --workdir=runs/vjepa

The encoder is that of RVM's demo, the predictor has the size of its decoder. A
clip has 8 frames, two frames apart, as in configs/eval_scenes.py: 4 x 8 x 8
tubelets.

The learning rate is a quarter of that of RVM's demo. With that one the variance
of the features, each normalised over its channels, fell within 61 steps to a
quarter of what it was before training (2026-11-26, 12 clips of 8 frames).
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.objective = 'vjepa'
  # The blocks that are hidden are the paper's.
  config.mask_ratio = 0.0
  for key in ('core_layers', 'core_heads', 'core_mlp', 'content_first'):
    del config.model[key]
  for key in ('width', 'layers', 'heads', 'mlp'):
    config.model[f'predictor_{key}'] = config.model[f'decoder_{key}']
    del config.model[f'decoder_{key}']
  # The clip is the source frames; the one target, next to them, is not used.
  config.data.update(num_source=8, num_target=1, stride=2, max_gap=1)
  # The EMA forgets half of a change in 70 steps, so that it follows a run of a
  # thousand steps.
  config.ema_decay = 0.99
  config.optimizer.learning_rate = 1e-3
  return config
