"""V-JEPA with ViT-L: the paper's pretraining run.

  python -m rvm_jax.main --config=configs/vjepa_large.py \
      --workdir=runs/vjepa --config.data.sources="('/data/videos',)"

Hardware: a step of 3072 clips is 10.7 PFLOP, so that the run takes 28 days on
one GPU that does 395 TFLOP/s, half of what an H200 does on large products
(arithmetic, not measured).

Weight decay and EMA decay are constant here, with the values of V-JEPA 2.
V-JEPA lets them rise, from 0.04 to 0.4 and from 0.998 to 1. V-JEPA also
stretches its schedules by a quarter, so that its learning rate has not reached
its final value when the run ends.

What this config does not set is as in configs/rvm_base.py. The source of a
value is marked as follows:
  [P] the paper, arXiv 2404.08471, and the configs of its authors;
  [2] V-JEPA 2, arXiv 2506.09985, and the configs of its authors;
  [O] our own choice.
"""

import ml_collections

from configs import rvm_base


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.objective = 'vjepa'
  # [P] 300 epochs of 300 steps.
  config.num_steps = 90_000
  # The objective hides the blocks of the paper instead of a share of the
  # patches: `rvm_jax.training.objectives.vjepa.MASKS`.
  config.mask_ratio = 0.0
  config.model = ml_collections.ConfigDict(
      dict(
          # [P] ViT-L/16.
          width=1024,
          encoder_layers=24,
          encoder_heads=16,
          encoder_mlp=4096,
          # [P], but the number of heads is that of V-JEPA 2.
          predictor_width=384,
          predictor_layers=12,
          predictor_heads=12,
          predictor_mlp=1536,
          patch=16,
          # [P] bfloat16. [O] The next two values are as in configs/rvm_base.py.
          dtype='bfloat16',
          attention='auto',
          remat='dots',
          scan_layers=False,
      )
  )
  config.data.update(
      batch_size=3072,  # [P]
      num_source=16,  # [P] The clip.
      num_target=1,  # [O] The least number. The frame is not used.
      stride=4,  # [P]
      min_gap=1,  # [O]
      max_gap=1,  # [O]
      height=224,  # [P]
      width=224,  # [P]
      crop_area=(0.3, 1.0),  # [P]
      crop_aspect=(0.75, 1.35),  # [P]
      flip=0.5,  # [P]
  )
  config.optimizer.update(
      learning_rate=6.25e-4,  # [P]
      final_learning_rate=1e-6,  # [P]
      # [P] 40 epochs. V-JEPA's warm-up begins at 2e-4 instead of 0.
      warmup_steps=12_000,
      weight_decay=0.04,  # [2]
      beta2=0.999,  # [P]
      clip_norm=10.0,  # [P]
  )
  config.ema_decay = 0.99925  # [2]
  return config
