"""Every task on generated scenes, with nothing to download: docs/scenes.md.

  python -m rvm_jax.evals.run --config=configs/eval_scenes.py \
      --checkpoint=PATH --out=results/scenes

Sizes are for models as small as configs/rvm_demo.py. All settings are ours.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'scenes'
  config.protocol = ml_collections.ConfigDict(
      dict(
          # Arguments of `rvm_jax.evals.scenes.clips.Clips`.
          clips=dict(
              height=64,  # Pixels.
              width=64,
              num_frames=8,
              stride=2,  # Frames, at 24 a second: a clip spans 2/3 s.
              path=32,  # Frames: the camera goes half of its way in a clip.
              num_points=24,
              min_share=0.02,  # Of the first frame, to follow an object.
          ),
          num_train=1536,  # Clips.
          num_test=512,
          num_workers=2,  # Processes that draw them.
          # Of `label_propagation.propagate`. As for DAVIS, but for what a grid of 8 x 8
          # patches needs: near, and of those that agree most.
          propagation=dict(num_context=7, temperature=0.1, top_k=7, radius=3),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
