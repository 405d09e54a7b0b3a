"""Evaluates how well a model reconstructs masked frames, on fixed samples."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.training import step
from rvm_jax.viz import sheets

# Number of samples that are reconstructed.
NUM_SAMPLES = 4


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(objective, params, batch, seed):
  """Returns the objective's reconstruction, with masks of the given seed."""
  return objective.reconstruct(params, batch, jax.random.key(seed))


class ReconstructionEvaluator:
  """An evaluator that returns the loss on a few samples and a picture of them.

  The samples are the first of the run's training data. The samples and their
  masks are the same at each call, in each process, and when the run is resumed.
  """

  def __init__(
      self,
      config: ml_collections.ConfigDict,
      data: pipeline.Pipeline,
      check: Callable[[], None] = lambda: None,
  ):
    """Reads the samples.

    Args:
      config: config of the run, as in configs/rvm_base.py. Its seed is the seed
        of the masks.
      data: training data of the run.
      check: function that raises if the run is to stop, called before the
        picture is drawn.
    """
    self._check = check
    self._samples = data.first(NUM_SAMPLES)
    self._seed = config.seed

  def __call__(
      self, objective: step.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Reconstructs the samples.

    Args:
      objective: training objective of the run.
      params: current parameters of the objective's model.

    Returns:
      Scalars by name: 'loss', the mean squared error over all pixels of the
      target frames, visible or masked, in [0, 1]; and pictures by name:
      'clips', uint8 [height, width, 3]. Both are empty if the objective
      predicts no pixels.
    """
    batch = {key: self._samples[key] for key in objective.batch}
    found = _reconstruct(objective, params, batch, self._seed)
    if found is None:
      return {}, {}
    target, visible, pixels = multihost_utils.process_allgather(
        found, tiled=True
    )
    self._check()
    sheet = sheets.reconstruction_sheet(
        self._samples['source'], target, visible, pixels, objective.patch
    )
    loss = float(np.square(pixels - target / 255).mean())
    return {'loss': loss}, {'clips': sheet}
