"""How well a model fills in masked frames: the loss and a picture."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.training import step
from rvm_jax.viz import sheets

# Number of samples, and of rows in the picture.
NUM_SAMPLES = 4


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(objective, params, batch, seed):
  return objective.reconstruct(params, batch, jax.random.key(seed))


class ReconstructionEvaluator:
  """An evaluator: the loss on a few samples, and a picture of them.

  The samples are the first of the run's own data. They and their masks are the
  same at each call, in each process and after each start, so that the loss is
  less noisy than that of a training step.
  """

  def __init__(
      self, config: ml_collections.ConfigDict, data: pipeline.Pipeline
  ):
    """Reads the samples.

    Args:
      config: the run's config, as in configs/rvm_base.py.
      data: the run's data.
    """
    self._samples = data.first(NUM_SAMPLES)
    self._seed = config.seed

  def __call__(
      self, objective: step.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Returns the scalar 'loss', and the picture 'clips'.

    The loss is the mean squared error over all pixels, visible and hidden. An
    objective that predicts no pixels has neither loss nor picture.

    Args:
      objective: what is trained.
      params: its parameters.
    """
    batch = {key: self._samples[key] for key in objective.batch}
    found = _reconstruct(objective, params, batch, self._seed)
    if found is None:
      return {}, {}
    target, visible, pixels = multihost_utils.process_allgather(
        found, tiled=True
    )
    sheet = sheets.reconstruction_sheet(
        self._samples['source'], target, visible, pixels, objective.patch
    )
    loss = float(np.square(pixels - target / 255).mean())
    return {'loss': loss}, {'clips': sheet}
