"""Starts a run from the parameters of a checkpoint."""

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
    model: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
  """Reads the parameters that a run starts from.

  Every name, shape and dtype must be that of the run's own parameters.

  Args:
    path: path of a released `.npz`, of a `.safetensors`, of a workdir or of one
      of its checkpoints, or the name of a checkpoint in the package.
    shapes: tree of arrays or `jax.ShapeDtypeStruct`s with the shapes and dtypes
      of the run's parameters.
    fresh_decoder: whether the decoder of the run keeps its fresh parameters.
      Encoder and core are then read alone, also from a checkpoint that has a
      decoder.
    model: the run's `config.model`. If a decoder is read, it must have been
      trained with the same `content_first`, on which no shape depends. None to
      leave this check to the caller.

  Returns:
    Arrays on the host by their keys in the released layout, for `put_initial`.

  Raises:
    FileNotFoundError: nothing exists at `path`, or the folder has no checkpoint
      of a run.
    ValueError: the checkpoint is of another model; keys are missing, unused or
      misshapen (all are listed); or `fresh_decoder` is false and the
      checkpoint has no decoder, or one that was trained with another
      `content_first` than `model` has.
  """
  saved, arrays = reading.read(path)
  if not fresh_decoder and not any(map(released.is_decoder, arrays)):
    raise ValueError(
        f'{path} holds encoder and core only: it has no decoder to continue'
        ' pretraining with. Set config.checkpoint.fresh_decoder=True to start'
        ' with a decoder that has learned nothing yet'
    )
  if not fresh_decoder and model is not None:
    _check_content_first(path, saved.content_first, model)
  expected = trees.flatten(shapes)
  if fresh_decoder:
    arrays = _drop_decoder(arrays)
    expected = _drop_decoder(expected)
  trees.check_match(os.fspath(path), arrays, expected)
  logging.info('Parameters from %s', path)
  return arrays


def put_initial(
    arrays: Mapping[str, np.ndarray], params: Mapping[str, Any]
) -> dict[str, Any]:
  """Replaces fresh parameters by those that `read_initial` returned.

  The keys of the parameters that stay fresh are logged.

  Args:
    arrays: arrays on the host by their keys in the released layout.
    params: tree of the run's fresh parameters, on its devices.

  Returns:
    A tree with the structure of `params`; each array has the sharding of the
    one that it replaces.
  """
  fresh = trees.flatten(params)
  if rest := sorted(fresh.keys() - arrays):
    logging.info('Initialised afresh:\n  %s', '\n  '.join(rest))
  return trees.unflatten(
      fresh | {k: _put(x, fresh[k].sharding) for k, x in arrays.items()}
  )


def _check_content_first(
    path: str | os.PathLike[str], saved: bool, model: Mapping[str, Any]
):
  """Checks that a decoder was trained with the run's `content_first`.

  With `content_first` the decoder gets position embeddings of the source
  tokens, which a decoder trained with them needs. Its parameters do not show
  this, because position embeddings are fixed and not learned.

  Args:
    path: path of the checkpoint, for the error message.
    saved: `content_first` of the checkpoint's model.
    model: `config.model` of the run.
  """
  # Models of other objectives do not have this setting. Whether the checkpoint
  # fits them is then left to `trees.check_match`.
  if 'content_first' in model and model['content_first'] != saved:
    raise ValueError(
        f'config.model.content_first={model["content_first"]} must be {saved},'
        f' with which the decoder in {path} was trained. Or set'
        ' config.checkpoint.fresh_decoder=True to take its encoder and core'
        ' alone'
    )


def _drop_decoder(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the entries of a flat dict that belong to encoder and core."""
  return {k: x for k, x in flat.items() if not released.is_decoder(k)}


def _put(array: np.ndarray, sharding: jax.sharding.Sharding) -> jax.Array:
  """Sends each device its own part, so that none ever holds the whole array."""
  return jax.make_array_from_callback(
      array.shape, sharding, lambda index: array[index]
  )
