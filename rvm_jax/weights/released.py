"""Reads and writes the layout of the released `pretrain_rvm_*16_256_*.npz`.

Such a file is a plain NumPy archive of float32 arrays, without pickles. A key
is the path of a parameter in this project's own parameter tree, joined with
'/', so that nothing needs renaming.
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

# Top-level names of the parameters that serve reconstruction alone.
DECODER_PARTS = (
    'mask_token',
    'decoder',
    'decoder_embedder',
    'delta_embedder',
    'detokenizer',
)


def is_decoder(key: str) -> bool:
  """Tells whether the parameter with this key serves reconstruction alone."""
  return key.split('/')[0] in DECODER_PARTS


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """Reads all arrays of an archive, without checking that they are an RVM's.

  Args:
    path: path of the `.npz` file.

  Returns:
    The arrays by key.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: the file is not an archive of plain arrays. Pickles are refused
      and never executed.
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


def _read_array(archive: Any, key: str) -> np.ndarray:
  """Reads one array of an open archive.

  Args:
    archive: the archive, as opened by `np.load`.
    key: name of the array.

  Raises:
    ValueError: the entry `key` is not an array, or needs a pickle.
  """
  try:
    array = archive[key]
  except ValueError as error:
    raise ValueError(f'{key} in it is not a plain array: {error}') from error
  # For an entry that is not a .npy file, NumPy returns its bytes.
  if not isinstance(array, np.ndarray):
    raise ValueError(f'{key} in it is not an array')
  return array


def save_npz(path: str | os.PathLike[str], params: Mapping[str, Any]):
  """Writes parameters in the released layout; `load` returns the same bits.

  Args:
    path: path of the file to write. The file appears only when it is whole.
    params: parameter tree of an `RVM`, float32, with or without decoder.

  Raises:
    FileExistsError: something exists at `path`.
    OSError: the file cannot be written.
    ValueError: the tree is not that of an `RVM` (all differences are listed).
  """
  arrays: dict[str, Any] = {
      key: np.asarray(array) for key, array in trees.flatten(params).items()
  }
  infer_model('params', arrays)
  with files.write_whole(path) as part, open(part, 'wb') as f:
    np.savez(f, **arrays)


def infer_model(name: str, arrays: Mapping[str, np.ndarray]) -> rvm.RVM:
  """Infers the model that parameters belong to from their shapes.

  Args:
    name: name of the file that the parameters come from, for error messages.
    arrays: parameters by their keys in the released layout. If none of them is
      the decoder's, the model has `decoder_layers=0`: it encodes but cannot
      reconstruct.

  Returns:
    The Flax module.

  Raises:
    ValueError: the arrays are not the parameters of an RVM; or keys are
      missing, unused or misshapen (all are listed).
  """
  model = rvm.RVM(**infer_sizes(name, arrays))
  trees.check_match(name, arrays, trees.flatten(shapes(model)))
  return model


def shapes(model: rvm.RVM) -> dict[str, Any]:
  """Returns the parameter tree of a model as `jax.ShapeDtypeStruct`s."""
  # Parameter shapes do not depend on these sizes: 1 video of 1 frame, 1 target,
  # 1 visible patch.
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


def infer_sizes(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Infers the sizes of an `RVM` from the shapes of its parameters.

  Each size is the one that most of the layers have. One misshapen array is then
  reported as such, and does not change the shapes expected of all others.

  Args:
    name: name of the file that the parameters come from, for error messages.
    arrays: parameters by their keys in the released layout.

  Returns:
    Keyword arguments of `RVM`, all int.

  Raises:
    ValueError: no parameter tells one of the sizes.
  """

  def vote(pattern: str, ndim: int, axis: int) -> int:
    """Returns the most frequent length of an axis of matching arrays.

    Arrays match if their key matches `pattern` and they have `ndim` axes.
    """
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
    """Returns the number of layers, whose keys begin with `prefix`_N/."""
    found = [re.match(rf'{prefix}_(\d+)/', key) for key in arrays]
    return max((int(match[1]) + 1 for match in found if match), default=0)

  def transformer(part: str, stack: str) -> dict[str, int]:
    """Returns the sizes of a transformer.

    The names of the sizes begin with `part`, the keys of its layers with
    `stack`.
    """
    return {
        f'{part}_layers': count(stack),
        f'{part}_heads': vote(rf'{stack}_\d+/\w+/(query|key|value)/bias', 2, 0),
        f'{part}_mlp': vote(rf'{stack}_\d+/mlp/dense_in/bias', 1, 0),
    }

  sizes = dict(
      width=vote(r'(encoder|rnn_core)/.*norm/scale', 1, 0),
      patch=vote(r'tokenizer/patch_embedding/Conv_0/kernel', 5, 1),
      **transformer('encoder', 'encoder/layers'),
      **transformer('core', 'rnn_core/transformer/xa_blocks'),
  )
  if not any(map(is_decoder, arrays)):
    return sizes | dict(decoder_layers=0)
  return sizes | dict(
      decoder_width=vote(r'decoder/.*norm/scale', 1, 0),
      **transformer('decoder', 'decoder/xa_blocks'),
  )
