"""What the features are worth so far: masks of a few scenes, carried on."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import ml_collections
import numpy as np

from rvm_jax.evals import features as features_lib
from rvm_jax.evals.benchmarks import scene_masks
from rvm_jax.models import rvm
from rvm_jax.ops import patches as patches_lib
from rvm_jax.viz import sheets

NUM_SCENES = 8
NUM_FRAMES = 8
STRIDE = 2  # Frames of a scene.
_REACH = 3 / 8  # Of the longer side: how far things may have moved.


@functools.partial(jax.jit, static_argnums=0)
def _encode(model, params, frames):
  frames = frames.astype(jnp.float32) / 255
  return model.apply({'params': params}, frames, method='encode')[0]


class CarriedMasks:
  """An evaluator: label propagation on generated scenes held out from training.

  Unlike the loss it does not know of painting; it says how well features find
  the same thing again. The scenes are the same at each call, in each process and
  in each run with frames of this size.
  """

  def __init__(self, config: ml_collections.ConfigDict):
    """Draws the scenes, at the size of the frames of the run's `config`."""
    # MuJoCo is needed only here.
    from rvm_jax.data import scenes  # pylint: disable=g-import-not-at-top

    size = {'height': config.data.height, 'width': config.data.width}
    source = scenes.Scenes(NUM_SCENES, **size, split='held_out')
    self._scenes = [
        scenes.generate(
            source.scene_seed(number),
            frames=range(0, NUM_FRAMES * STRIDE, STRIDE),
            num_tracks=0,
            **size,
        )
        for number in range(NUM_SCENES)
    ]

  def __call__(
      self, model: rvm.RVM, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Returns 'j_and_f' in [0, 1] and the picture 'masks'."""

    def encode(frames):
      tokens = multihost_utils.process_allgather(
          _encode(model, params, frames), tiled=True
      )  # [B, T, 1 + N, D]
      grid = patches_lib.grid(*frames.shape[2:4], model.patch)
      patches = tokens[:, :, 1:].reshape(*frames.shape[:2], *grid, -1)
      return features_lib.Features(patches, None)

    found = scene_masks.evaluate(
        features_lib.Model('run', 'run', model.patch, 'RGB in [0, 1]', encode),
        self._scenes,
        batch=NUM_SCENES,
        num_context=NUM_FRAMES - 1,
        temperature=0.1,  # As in configs/eval_scenes.py.
        radius=_REACH * max(self._scenes[0].segments.shape[1:]) / model.patch,
    )
    return {'j_and_f': found['j_and_f']}, {
        'masks': sheets.mask_sheet(
            self._scenes[0].frames,
            {'truth': found['true'][0], 'carried': found['predicted'][0]},
        )
    }
