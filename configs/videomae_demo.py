"""A small VideoMAE on generated scenes, to compare with configs/rvm_demo.py.

  python -m rvm_jax.main --config=configs/videomae_demo.py --workdir=runs/vmae

Encoder, decoder and optimizer are those of RVM's demo. A clip has 8 frames, two
frames apart, as in configs/eval_scenes.py: 4 x 8 x 8 tubelets, of which 28 are
visible.
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.objective = 'videomae'
  for key in ('core_layers', 'core_heads', 'core_mlp', 'content_first'):
    del config.model[key]
  # The clip is the source frames; the one target, next to them, is not used.
  config.data.update(num_source=8, num_target=1, stride=2, max_gap=1)
  # These suit objectives that reconstruct from little.
  config.mask_ratio = 0.9
  config.optimizer.learning_rate = 4e-3
  return config
