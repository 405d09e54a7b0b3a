"""RVM in five minutes on two CPU cores: what `make demo` trains.

  python -m rvm_jax.main --config=configs/rvm_demo.py --workdir=runs/demo
"""

import ml_collections

from configs import rvm_base


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.num_steps = 500
  config.mask_ratio = 0.9
  config.model.update(
      width=128,
      encoder_layers=4,
      encoder_heads=4,
      encoder_mlp=384,
      core_layers=1,
      core_heads=4,
      core_mlp=256,
      decoder_width=96,
      decoder_layers=2,
      decoder_heads=4,
      decoder_mlp=192,
      patch=8,
      dtype='float32',
      remat='none',
  )
  config.data.update(
      num_scenes=100_000,
      batch_size=32,
      height=64,
      width=64,
      min_gap=2,
      max_gap=24,
      crop_area=(0.5, 1.0),
      num_workers=1,
  )
  config.optimizer.update(learning_rate=2e-3, warmup_steps=50)
  config.checkpoint.update(save_every=100, keep_last=2)
  config.log_every = 20
  config.eval_every = 250
  return config
