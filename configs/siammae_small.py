"""SiamMAE with ViT-S: the paper's pretraining run on Kinetics-400.

  python -m rvm_jax.main --config=configs/siammae_small.py \
      --workdir=runs/siammae --config.data.sources="('/data/kinetics.csv',)"

Hardware: a step of 2048 clips is 76 TFLOP, so that the run takes half a day on
one GPU that does 395 TFLOP/s, half of what an H200 does on large products
(arithmetic, not measured; reading the videos is likely to take longer).

What this config does not set is as in configs/rvm_base.py. The source of a
value is marked as follows:
  [P] the paper, arXiv 2305.14344;
  [R] reported by readers of the paper, not verified;
  [C] CropMAE, an open re-implementation (arXiv 2403.17823);
  [O] our own choice.
No code or weights of the authors are public.
"""

import ml_collections

from configs import rvm_base


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.objective = 'siammae'
  # [R] 2000 epochs of 240,000 videos; the paper's ablations take 400 epochs.
  config.num_steps = 234_375
  # [P] Of 196 patches, 9 are visible.
  config.mask_ratio = 0.95
  config.model = ml_collections.ConfigDict(
      dict(
          # [P] ViT-S/16.
          width=384,
          encoder_layers=12,
          encoder_heads=6,
          encoder_mlp=1536,
          # [C]
          decoder_width=256,
          decoder_layers=4,
          decoder_heads=8,
          decoder_mlp=2048,
          patch=16,
          # [O] These four values are as in configs/rvm_base.py.
          dtype='bfloat16',
          attention='auto',
          remat='dots',
          scan_layers=False,
      )
  )
  config.data.update(
      batch_size=2048,  # [R]
      num_source=1,  # [P]
      num_target=1,  # [P]
      min_gap=4,  # [P]
      max_gap=48,  # [P]
      height=224,  # [P]
      width=224,  # [P]
      crop_area=(0.5, 1.0),  # [R]
      crop_aspect=(0.75, 1.3333),  # [C]
  )
  config.optimizer.update(
      # [R] 1.5e-4, taken as MAE's rate for 256 clips and scaled to 2048.
      learning_rate=1.2e-3,
      # [R] 40 epochs.
      warmup_steps=4_688,
      # [O] MAE does not clip gradients. No gradient reaches this norm.
      clip_norm=1e6,
  )
  return config
