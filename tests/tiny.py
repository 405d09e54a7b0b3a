"""The base run, shrunk until it takes seconds on a CPU."""

from configs import rvm_base


def get_config():
  config = rvm_base.get_config()
  config.num_steps = 6
  config.log_every = 2
  config.eval_every = 6
  config.num_eval_scenes = 16
  config.mask_ratio = 0.75
  config.model.update(
      width=16,
      encoder_layers=1,
      encoder_heads=2,
      encoder_mlp=32,
      core_layers=1,
      core_heads=2,
      core_mlp=32,
      decoder_width=16,
      decoder_layers=1,
      decoder_heads=2,
      decoder_mlp=32,
      patch=8,
      dtype='float32',
      remat='none',
  )
  config.data.update(
      num_scenes=16,
      batch_size=4,
      num_source=2,
      num_target=2,
      height=32,
      width=32,
      num_workers=0,
      prefetch=1,
  )
  config.optimizer.update(learning_rate=1e-3, warmup_steps=1)
  config.checkpoint.update(save_every=2, keep_last=2, keep_every=100)
  return config
