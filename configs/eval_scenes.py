"""All tasks on generated scenes, with nothing to download.

  python -m rvm_jax.evals.run --config=configs/eval_scenes.py \
      --checkpoint=PATH --out=results/scenes

docs/scenes.md describes the tasks. Sizes are chosen for models as small as that
of configs/rvm_demo.py. All values are our own choices.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.benchmark = 'scenes'
  config.protocol = ml_collections.ConfigDict(
      dict(
          # Fields of `rvm_jax.evals.scenes.clips.SceneClips`.
          clips=dict(
              height=64,  # Pixels.
              width=64,
              num_frames=8,
              # Frames of the scene from one frame of a clip to the next. As a
              # scene has 24 frames a second, a clip spans 2/3 s.
              stride=2,
              # Frames of the scene in which the camera completes its motion. A
              # clip shows half of it.
              path=32,
              num_points=24,
              # Smallest share of the first frame that an object must cover to
              # be followed.
              min_share=0.02,
          ),
          num_train=1536,  # Clips that readouts are fitted to.
          num_test=512,  # Clips that readouts are scored on.
          num_workers=2,  # Processes that generate clips.
          # Arguments of `label_propagation.propagate`. As the grid has only
          # 8 x 8 patches, the radius is small, and the temperature is low so
          # that the most similar patches count most. The mean of each frame is
          # subtracted for every encoder.
          propagation=dict(
              num_context=7,
              temperature=0.1,
              top_k=7,
              radius=3,
              center_frames=True,
          ),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config
