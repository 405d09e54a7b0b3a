"""Evaluates how well a model reconstructs masked frames, on fixed samples."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols
from rvm_jax.viz import sheets

# Number of samples that are reconstructed.
NUM_SAMPLES = 4


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(objective, params, batch, seed):
  """Returns the objective's reconstruction, with masks of the given seed."""
  # Each device computes all samples: they are too few to be split.
  reconstruct = mesh_lib.repeat(objective.reconstruct)
  return reconstruct(params, batch, jax.random.key(seed))


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
      check: function that raises if the run is to stop. All processes call it
        at the same points, before an evaluation and before its picture is
        drawn, so that they stop together.
    """
    self._check = check
    self._samples = data.first(NUM_SAMPLES)
    self._seed = config.seed

  def __call__(
      self, objective: protocols.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Reconstructs the samples.

    Args:
      objective: training objective of the run.
      params: current parameters of the objective's model.

    Returns:
      Scalars by name: 'loss', the mean squared error over all pixels of the
      target frames, in visible and in hidden patches, with colours from 0 to 1;
      and pictures by name: 'clips', uint8 [height, width, 3]. Both are empty if
      the objective does not predict pixels.
    """
    return reconstruct(
        objective, params, self._samples, self._seed, self._check
    )


def reconstruct(
    objective: protocols.VideoObjective,
    params: Any,
    samples: Mapping[str, np.ndarray],
    seed: int,
    check: Callable[[], None],
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
  """Reconstructs samples, which are the same in each process.

  Args:
    objective: training objective of the run.
    params: parameters of the objective's model.
    samples: a few samples, arrays by name as `data.pipeline` describes them.
    seed: seed of the masks.
    check: function that raises if the run is to stop.

  Returns:
    Scalars and pictures as `ReconstructionEvaluator` returns them.
  """
  check()
  batch = {key: samples[key] for key in objective.batch}
  found = _reconstruct(objective, params, batch, seed)
  if found is None:
    return {}, {}
  target, visible, pixels = multihost_utils.process_allgather(found, tiled=True)
  check()
  sheet = sheets.reconstruction_sheet(
      samples['source'], target, visible, pixels, objective.patch
  )
  loss = float(np.square(pixels - target / 255).mean())
  return {'loss': loss}, {'clips': sheet}
