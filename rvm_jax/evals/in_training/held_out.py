"""Evaluates the training loss on videos that are kept out of training."""

from collections.abc import Callable, Mapping
import functools
import math
from typing import Any

import jax
import ml_collections
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.evals.in_training import reconstruction
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols

# Least number of samples over which the loss is averaged. It is rounded up to
# whole batches.
NUM_SAMPLES = 256
# Seed of the masks. It does not depend on the seed of the run, so that runs
# that differ in their seed are compared on the same masks.
_SEED = 0


@functools.partial(jax.jit, static_argnums=0)
def _loss(objective, params, batch, number):
  """Returns the loss on a batch, whose number decides its masks."""
  rng = jax.random.fold_in(jax.random.key(_SEED), number)

  def compute(params, inputs):
    return objective.loss(objective.cast(params), *inputs)[None]

  inputs = objective.sample(rng, batch)
  return mesh_lib.map_rows(compute)(params, inputs).mean()


class HeldOutEvaluator:
  """An evaluator that returns the loss on samples that are never trained on.

  The samples come from the videos that `config.data.held_out_share` keeps out.
  They are cut with the frame gaps, random crops and weights of sources of the
  training. If there are few such videos, several samples are cut from each.
  Samples and masks are the same at each call, for any number of processes, when
  the run is resumed, and in runs that differ in their seed.
  """

  def __init__(
      self,
      config: ml_collections.ConfigDict,
      data: pipeline.Pipeline,
      check: Callable[[], None] = lambda: None,
  ):
    """Reads the samples that the devices of this process need.

    Args:
      config: config of the run, as in configs/rvm_base.py.
      data: training data of the run, with videos that are kept out.
      check: function that raises if the run is to stop. All processes call it
        at the same points, before each batch and around the picture, so that
        they stop together.
    """
    self._check = check
    self._sharding = mesh_lib.batch_sharding(mesh_lib.make_mesh(config.fsdp))
    # A batch here is as large as a microbatch of the training, which is known
    # to fit into memory and to be a multiple of the number of devices.
    self._batch_size = config.data.batch_size // config.num_microbatches
    places = self._sharding.addressable_devices_indices_map((self._batch_size,))
    rows = sorted(
        {row for (index,) in places.values() for row in self._list_rows(index)}
    )
    # This process reads only some rows of a batch. For the number of each of
    # these rows, this is its index in the arrays that are read.
    self._places = {row: place for place, row in enumerate(rows)}
    self._batches = []
    for number in range(math.ceil(NUM_SAMPLES / self._batch_size)):
      check()
      first = number * self._batch_size
      self._batches.append(data.read_held_out([first + row for row in rows]))
    self._shown = data.read_held_out(range(reconstruction.NUM_SAMPLES))

  def __call__(
      self, objective: protocols.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Computes the loss and reconstructs a few samples.

    Args:
      objective: training objective of the run.
      params: current parameters of the objective's model.

    Returns:
      Scalars by name: 'loss', the mean of the training loss over the samples;
      and pictures by name: 'clips', uint8 [height, width, 3], if the objective
      predicts pixels.
    """
    losses = []
    for number, batch in enumerate(self._batches):
      self._check()
      on_devices = {key: self._put(batch[key]) for key in objective.batch}
      # Waiting for each loss keeps one batch at a time on the devices.
      losses.append(float(_loss(objective, params, on_devices, number)))
    _, pictures = reconstruction.reconstruct(
        objective, params, self._shown, _SEED, self._check
    )
    return {'loss': float(np.mean(losses))}, pictures

  def _list_rows(self, index: slice) -> range:
    """Returns the numbers of the rows that a slice of a batch selects."""
    return range(self._batch_size)[index]

  def _put(self, array: np.ndarray) -> jax.Array:
    """Makes an array of a batch, split over the devices of all processes.

    Args:
      array: the rows of the batch that this process has read, [rows, ...].
    """

    def take(index):
      return array[[self._places[row] for row in self._list_rows(index[0])]]

    return jax.make_array_from_callback(
        (self._batch_size, *array.shape[1:]), self._sharding, take
    )
