"""Every task on generated scenes, with nothing to download: docs/scenes.md.

  python -m rvm_jax.evals.run --config=configs/eval_scenes.py \
      --checkpoint=PATH --workdir=runs/scenes --out=results/scenes

Sizes are for models as small as configs/rvm_demo.py. All settings are ours.
"""

import ml_collections

from configs import readouts


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'scenes'
  features = readouts.get_features()
  features.is_kept = True
  training = readouts.get_training()
  training.update(
      is_augmented=False,
      num_steps=600,
      learning_rates=(3e-3,),
      warmup_steps=20,
      final_learning_rate=1e-5,
      weight_decay=1e-3,
      save_every=600,
  )
  config.protocol = ml_collections.ConfigDict(
      dict(
          # Arguments of `rvm_jax.evals.datasets.scenes.Clips`.
          clips=dict(
              size=64,  # Pixels, height and width.
              num_frames=8,
              stride=2,  # Frames, at 24 a second: a clip spans 2/3 s.
              path=32,  # Frames: the camera goes half of its way in a clip.
              num_points=24,
              min_share=0.02,  # Of the first frame, to follow an object.
          ),
          num_train=768,  # Clips.
          num_test=256,
          num_workers=2,  # Processes that draw them.
          width=64,  # Of the heads.
          # Of `labelprop.propagate`. As for DAVIS, but for what a grid of 8 x 8
          # patches needs: near, and of those that agree most.
          propagation=dict(
              num_context=7, temperature=0.1, top_k=7, radius=3
          ),
          features=features,
          training=training,
      )
  )
  return config
