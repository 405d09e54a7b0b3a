"""What a run may start from instead of fresh parameters."""

from collections.abc import Mapping
import os
from typing import Any

from absl import logging
import jax
import numpy as np

from rvm_jax.weights import reading
from rvm_jax.weights import released
from rvm_jax.weights import trees


def read_initial(
    path: str | os.PathLike[str],
    shapes: Mapping[str, Any],
    *,
    fresh_decoder: bool,
) -> dict[str, np.ndarray]:
  """Reads what of a checkpoint is to replace the fresh parameters of a run.

  Strict: every name, shape and dtype must be the same.

  Args:
    path: a released `.npz`, a `.safetensors`, a workdir or one of its
      checkpoints.
    shapes: of the run's parameters, a tree.
    fresh_decoder: takes the encoder and the core alone, whatever the checkpoint
      has of a decoder.

  Returns:
    Arrays on the host by their released keys, for `put_initial`.

  Raises:
    FileNotFoundError: nothing there, or no checkpoint of a run.
    ValueError: not a checkpoint of RVM; missing, unused or misshapen keys, all
      of them listed; or no decoder, and `fresh_decoder` is not set.
  """
  _, arrays = reading.read(path)
  is_decoder = lambda key: key.split('/')[0] in released.DECODER_PARTS
  if not fresh_decoder and not any(map(is_decoder, arrays)):
    raise ValueError(
        f'{path} holds encoder and core only: it has no decoder to go on'
        ' pretraining with. Set config.checkpoint.fresh_decoder=True to start'
        ' with a decoder that has learned nothing yet'
    )
  is_kept = lambda key: not (fresh_decoder and is_decoder(key))
  found = {key: array for key, array in arrays.items() if is_kept(key)}
  wanted = trees.flatten(shapes)
  wanted = {key: shape for key, shape in wanted.items() if is_kept(key)}
  trees.check_match(os.fspath(path), found, wanted)
  logging.info('Parameters from %s', path)
  return found


def put_initial(
    arrays: Mapping[str, np.ndarray], params: Mapping[str, Any]
) -> dict[str, Any]:
  """Puts what `read_initial` gave in the place of fresh parameters.

  What stays fresh is listed in the log.

  Args:
    arrays: by their released keys.
    params: a tree of arrays on the run's devices.

  Returns:
    Such a tree as `params`, each array on the same devices.
  """
  fresh = trees.flatten(params)
  if rest := sorted(fresh.keys() - arrays):
    logging.info('Initialised afresh:\n  %s', '\n  '.join(rest))
  return trees.unflatten(
      fresh | {k: _put(x, fresh[k].sharding) for k, x in arrays.items()}
  )


def _put(array, sharding):
  """Each device gets its part: none ever holds the whole."""
  return jax.make_array_from_callback(
      array.shape, sharding, lambda index: array[index]
  )
