"""The released checkpoints: `pretrain_rvm_*16_256_*.npz`.

A plain numpy archive of float32 arrays without pickles. A key is the path of a
parameter in our own tree, joined with '/': nothing needs renaming.
"""

import collections
from collections.abc import Mapping
import os
import re
from typing import Any
import zipfile
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.models import rvm
from rvm_jax.storage import files
from rvm_jax.weights import trees

# Top-level names of the parameters that only reconstruction needs.
DECODER_PARTS = (
    'mask_token',
    'decoder',
    'decoder_embedder',
    'delta_embedder',
    'detokenizer',
)


def is_decoder(key: str) -> bool:
  """Tells whether a parameter, by its key, serves reconstruction alone."""
  return key.split('/')[0] in DECODER_PARTS


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """The arrays of an archive by key, whatever they are.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an archive of plain arrays. Pickles are never executed.
  """
  with open(path, 'rb') as f:
    is_zip = zipfile.is_zipfile(f)
  try:
    if not is_zip:
      raise ValueError('it is not a zip archive, or its end is missing')
    with np.load(path, allow_pickle=False) as archive:
      return {key: _read_array(archive, key) for key in archive.files}
  except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
    raise ValueError(
        f'{path} is not a plain .npz archive of arrays (pickles are refused):'
        f' {error}'
    ) from error


def _read_array(archive, key):
  try:
    array = archive[key]
  except ValueError as error:
    raise ValueError(f'{key} in it is no plain array: {error}') from error
  if not isinstance(array, np.ndarray):  # Any other file in the zip.
    raise ValueError(f'{key} in it is no array')
  return array


def save_npz(path: str | os.PathLike[str], params: Mapping[str, Any]):
  """Writes parameters in the released layout; loading gives the same bits.

  Args:
    path: of the file to write, which appears only when it is whole.
    params: the parameter tree of an `RVM`, float32.

  Raises:
    FileExistsError: there is something at `path`.
    OSError: it cannot be written.
    ValueError: the tree is not that of an `RVM`, all differences listed.
  """
  arrays = {k: np.asarray(v) for k, v in trees.flatten(params).items()}
  model_of('params', arrays)
  with files.write_whole(path) as part, open(part, 'wb') as f:
    np.savez(f, **arrays)


def model_of(name: str, arrays: Mapping[str, np.ndarray]) -> rvm.RVM:
  """The model whose parameters these are; every size is read off them.

  Args:
    name: of where they come from, for the message.
    arrays: by the released keys. Without any of the decoder's, the model has
      `decoder_layers=0`: it encodes and cannot reconstruct.

  Raises:
    ValueError: not those of an `RVM`; or missing, unused or misshapen keys, all
      of them listed.
  """
  model = rvm.RVM(**read_sizes(name, arrays))
  trees.check_match(name, arrays, trees.flatten(shapes(model)))
  return model


def shapes(model: rvm.RVM) -> dict[str, Any]:
  """The parameter tree of `model` as `jax.ShapeDtypeStruct`s."""
  side = 2 * model.patch
  frames = jax.ShapeDtypeStruct((1, 1, side, side, 3), jnp.float32)
  deltas = jax.ShapeDtypeStruct((1, 1), jnp.int32)
  visible = jax.ShapeDtypeStruct((1, 1, 1), jnp.int32)
  key = jax.random.key(0)
  if model.decoder_layers:
    variables = jax.eval_shape(model.init, key, frames, frames, deltas, visible)
  else:
    variables = jax.eval_shape(
        lambda k, x: model.init(k, x, method='encode'), key, frames
    )
  return variables['params']


def read_sizes(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
  """The sizes of an `RVM`, read off shapes.

  Each is what most of the layers say, so that one misshapen array is reported
  as such and does not spoil the reading of the others.
  """

  def read(pattern: str, ndim: int, axis: int) -> int:
    votes = collections.Counter(
        array.shape[axis]
        for key, array in arrays.items()
        if re.fullmatch(pattern, key) and array.ndim == ndim
    )
    if not votes:
      raise ValueError(
          f'{name} is not an RVM checkpoint: no key like {pattern} with'
          f' {ndim} axes among its {len(arrays)} keys'
      )
    return votes.most_common(1)[0][0]

  def count(prefix: str) -> int:
    found = [re.match(rf'{prefix}_(\d+)/', key) for key in arrays]
    return max((int(match[1]) + 1 for match in found if match), default=0)

  def transformer(part: str, stack: str) -> dict[str, int]:
    return {
        f'{part}_layers': count(stack),
        f'{part}_heads': read(rf'{stack}_\d+/\w+/(query|key|value)/bias', 2, 0),
        f'{part}_mlp': read(rf'{stack}_\d+/mlp/dense_in/bias', 1, 0),
    }

  sizes = dict(
      width=read(r'(encoder|rnn_core)/.*norm/scale', 1, 0),
      patch=read(r'tokenizer/patch_embedding/Conv_0/kernel', 5, 1),
      **transformer('encoder', 'encoder/layers'),
      **transformer('core', 'rnn_core/transformer/xa_blocks'),
  )
  if not any(map(is_decoder, arrays)):
    return sizes | dict(decoder_layers=0)
  return sizes | dict(
      decoder_width=read(r'decoder/.*norm/scale', 1, 0),
      **transformer('decoder', 'decoder/xa_blocks'),
  )
