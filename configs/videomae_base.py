"""VideoMAE with ViT-B: the paper's pretraining run on Kinetics-400.

  python -m rvm_jax.main --config=configs/videomae_base.py \
      --workdir=runs/videomae --config.data.sources="('/data/kinetics.csv',)"

Hardware: the paper's run took 64 GPUs. A step of 2048 clips is 0.42 PFLOP, so
that the run takes 2.3 days on one GPU that does 395 TFLOP/s, half of what an
H200 does on large products (arithmetic, not measured).

What this config does not set is as in configs/rvm_base.py. The source of a
value is marked as follows:
  [P] the paper, arXiv 2203.12602, and the scripts of its authors;
  [O] our own choice.
"""

import ml_collections

from configs import rvm_base


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.objective = 'videomae'
  # [P] 1600 epochs of 240,000 videos.
  config.num_steps = 187_500
  # [P] Of 196 tubes, which are the tubelets at one place in all frames, 20 are
  # visible.
  config.mask_ratio = 0.9
  config.model = ml_collections.ConfigDict(
      dict(
          # [P] ViT-B/16.
          width=768,
          encoder_layers=12,
          encoder_heads=12,
          encoder_mlp=3072,
          # [P]
          decoder_width=384,
          decoder_layers=4,
          decoder_heads=6,
          decoder_mlp=1536,
          patch=16,
          # [O] These four values are as in configs/rvm_base.py. The authors
          # use float16.
          dtype='bfloat16',
          attention='auto',
          remat='dots',
          scan_layers=False,
      )
  )
  config.data.update(
      batch_size=2048,  # [P]
      num_source=16,  # [P] The clip.
      num_target=1,  # [O] The least number. The frame is not used.
      stride=4,  # [P]
      min_gap=1,  # [O]
      max_gap=1,  # [O]
      height=224,  # [P]
      width=224,  # [P]
      # [O] The nearest to the paper's crops, whose sides are 1, 0.875, 0.75 or
      # 0.66 of the shorter side of the frame.
      crop_area=(0.44, 1.0),
      crop_aspect=(0.85, 1.18),
      flip=0.0,  # [P]
  )
  config.optimizer.update(
      # [P] 1.5e-4 for batches of 256 clips, scaled to 2048, and so is the final
      # rate of 1e-5.
      learning_rate=1.2e-3,
      final_learning_rate=8e-5,
      # [P] 40 epochs.
      warmup_steps=4_688,
      # [P] Gradients are not clipped. No gradient reaches this norm.
      clip_norm=1e6,
  )
  return config
