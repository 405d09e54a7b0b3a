"""What a run may start from instead of fresh parameters."""

from collections.abc import Mapping
import os
from typing import Any

from absl import logging
import jax

from rvm_jax.weights import reading
from rvm_jax.weights import released
from rvm_jax.weights import trees


def init_from(
    path: str | os.PathLike[str],
    params: Mapping[str, Any],
    *,
    fresh_decoder: bool,
) -> dict[str, Any]:
  """Puts the parameters of a checkpoint in the place of a run's fresh ones.

  Strict: every name, shape and dtype must be the same. What stays fresh is
  listed in the log.

  Args:
    path: a released `.npz`, a `.safetensors`, a workdir or one of its
      checkpoints.
    params: fresh parameters, on the run's devices.
    fresh_decoder: takes the encoder and the core alone; the decoder stays as it
      is in `params`, whatever the checkpoint has of one.

  Returns:
    Such a tree as `params`, each array on the same devices.

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
  fresh = trees.flatten(params)
  found = {key: array for key, array in arrays.items() if is_kept(key)}
  wanted = {key: array for key, array in fresh.items() if is_kept(key)}
  trees.check_match(os.fspath(path), found, wanted)
  logging.info('Parameters from %s', path)
  if fresh_decoder:
    logging.info(
        'Initialised afresh:\n  %s', '\n  '.join(sorted(fresh.keys() - wanted))
    )
  return trees.unflatten(
      fresh | {key: _put(found[key], wanted[key].sharding) for key in wanted}
  )


def _put(array, sharding):
  """Each device gets its part: none ever holds the whole."""
  return jax.make_array_from_callback(
      array.shape, sharding, lambda index: array[index]
  )
