"""A small VideoMAE on generated scenes, to compare with configs/rvm_demo.py.

  python -m rvm_jax.main --config=configs/videomae_demo.py --workdir=runs/vmae

Encoder and decoder are those of RVM's demo, and so is the optimizer except for
twice the learning rate. A clip has 8 frames, two frames apart, as in
configs/eval_scenes.py: 4 x 8 x 8 tubelets, of which 28 are visible.
"""

import ml_collections

from configs import rvm_demo


def get_config() -> ml_collections.ConfigDict:
  config = rvm_demo.get_config()
  config.objective = 'videomae'
  for key in ('core_layers', 'core_heads', 'core_mlp', 'content_first'):
    del config.model[key]
  # The source frames are the clip. Data have at least one target frame, which
  # is not used; it follows the clip.
  config.data.update(num_source=8, num_target=1, stride=2, max_gap=1)
  # These values suit objectives that reconstruct from few visible patches.
  # RVM's demo has 0.6 and 2e-3.
  config.mask_ratio = 0.9
  config.optimizer.learning_rate = 4e-3
  return config
