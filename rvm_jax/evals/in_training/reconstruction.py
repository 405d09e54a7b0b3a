"""What the model paints: masked targets, reconstructions, targets."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import ml_collections
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.models import rvm
from rvm_jax.ops import masks
from rvm_jax.viz import sheets

NUM_CLIPS = 4


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(model, params, source, target, deltas, visible):
  to_float = lambda x: x.astype(jnp.float32) / 255
  return model.apply(
      {'params': params}, to_float(source), to_float(target), deltas, visible
  )


class Reconstruction:
  """An evaluator: the loss on, and a picture of, a few clips of the sources.

  The clips are the first of the run's own: they and their masks are the same at
  each call, in each process and after each start.
  """

  def __init__(
      self, config: ml_collections.ConfigDict, data: pipeline.Pipeline
  ):
    """Reads the first clips of `data`; `config` is the run's."""
    self._batch = data.first(NUM_CLIPS)
    num_patches = (config.data.height // config.model.patch) * (
        config.data.width // config.model.patch
    )
    self._visible = np.asarray(
        masks.sample_visible(
            jax.random.key(config.seed),
            (NUM_CLIPS, config.data.num_target),
            num_patches,
            masks.num_visible(num_patches, config.mask_ratio),
        )
    )

  def __call__(
      self, model: rvm.RVM, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Returns the scalar 'loss' and the picture 'clips'."""
    pixels = multihost_utils.process_allgather(
        _reconstruct(
            model,
            params,
            self._batch['source'],
            self._batch['target'],
            self._batch['deltas'],
            self._visible,
        ),
        tiled=True,
    )
    target = self._batch['target']
    sheet = sheets.reconstruction_sheet(
        self._batch['source'], target, self._visible, pixels, model.patch
    )
    return {'loss': float(np.square(pixels - target / 255).mean())}, {
        'clips': sheet
    }
