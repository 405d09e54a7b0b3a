"""Turns arrays of published checkpoints into parameters of this project.

Arrays are renamed, split and transposed. Every array must have a known key, and
every parameter of the model must be there.
"""

from collections.abc import Iterator, Mapping
import itertools
import re
from typing import Any, NamedTuple

from absl import logging
import numpy as np

from rvm_jax.baselines import reading
from rvm_jax.storage import damage
from rvm_jax.weights import trees

# Paths of parameters, by regular expressions that match PyTorch's keys.
Renames = Mapping[str, str | tuple[str | None, ...]]


class Table(NamedTuple):
  r"""How the keys of a family of models become paths of parameters.

  Attributes:
    renames: paths of parameters by regular expressions, which must match keys
      as a whole. A path may refer to the groups of its expression (`\1`). A
      tuple of paths cuts the array into equal parts along its first axis; a
      part whose path is None is dropped. An expression may leave out the last
      name of a key if this is `weight` or `bias`: `norm` matches `norm.weight`
      and `norm.bias`. The path then ends in `bias` for a bias; for a weight it
      ends in `kernel` if the array has several axes, in `scale` if it has one.
    dropped: reasons why arrays are dropped, by regular expressions that must
      match their keys as a whole.
  """

  renames: Renames
  dropped: Mapping[str, str]


class _Part(NamedTuple):
  """A part of an array that becomes a parameter.

  Attributes:
    key: key of the array in the checkpoint.
    path: path of the parameter.
    number: number of this part, from 0.
    parts: number of parts into which the array is cut.
  """

  key: str
  path: str
  number: int
  parts: int


def read_params(
    arrays: reading.Arrays, table: Table, expected: Mapping[str, Any]
) -> dict[str, Any]:
  """Reads the parameters of a model from a checkpoint.

  The kernels of dense layers and convolutions are transposed as Flax expects:
  [out, in] becomes [in, out], and [out, in, ...] with the axes of a window at
  the end becomes [..., in, out].

  Args:
    arrays: arrays of the checkpoint.
    table: paths of the parameters by the keys of the checkpoint.
    expected: parameter tree of the model, arrays or `jax.ShapeDtypeStruct`s.

  Returns:
    The parameter tree of the model, np.ndarrays: float32, or float64 where the
    checkpoint has it.

  Raises:
    ValueError: keys of the checkpoint are not in the table, parameters of the
      model are missing, or have another shape or dtype (all are listed); or a
      parameter is not finite.
  """
  parts: list[_Part] = []
  found: dict[str, reading.Spec] = {}
  dropped: dict[str, list[str]] = {}
  for key, spec in arrays.specs.items():
    if found_drop := _find(table.dropped, key):
      dropped.setdefault(found_drop[1], []).append(key)
      continue
    new = list(_rename(table.renames, key, spec))
    for part in new:
      if part.path in found:
        other = next(p.key for p in parts if p.path == part.path)
        raise ValueError(
            f'{arrays.name} has {part.path} twice: {other} and {key}'
        )
      found[part.path] = _transposed_spec(spec, part)
    if not new:
      # The key is unknown. As no parameter has it as its path, `check_match`
      # lists it among the unused ones.
      found[key] = spec
    parts += new
  trees.check_match(arrays.name, found, trees.flatten(expected))
  for reason, keys in dropped.items():
    logging.info(
        '%s: dropped %d arrays, %s: %s',
        arrays.name,
        len(keys),
        reason,
        damage.name_keys(keys),
    )
  params = {}
  # The parts of an array are neighbours in this list, so that each array is
  # read only once.
  for key, parts_of_key in itertools.groupby(parts, lambda part: part.key):
    array = arrays.read(key)
    for part in parts_of_key:
      params[part.path] = _transpose(_cut(array, part), part.path)
  trees.check_finite(arrays.name, params)
  return trees.unflatten(params)


def _find(table: Mapping[str, Any], key: str) -> tuple[re.Match, Any] | None:
  """Returns the match of a key in a table and its value, or None."""
  for pattern, value in table.items():
    if match := re.fullmatch(pattern, key):
      return match, value
  return None


def _rename(renames: Renames, key: str, spec: reading.Spec) -> Iterator[_Part]:
  """Yields the parameters that an array becomes; none if its key is unknown."""
  ending = ''
  found = _find(renames, key)
  if not found:
    module, _, leaf = key.rpartition('.')
    if leaf == 'weight':
      ending = '/kernel' if len(spec.shape) > 1 else '/scale'
    elif leaf == 'bias':
      ending = '/bias'
    else:
      return
    found = _find(renames, module)
    if not found:
      return
  match, paths = found
  paths = (paths,) if isinstance(paths, str) else paths
  for i, path in enumerate(paths):
    if path is not None:
      yield _Part(key, match.expand(path) + ending, i, len(paths))


def _transposed_spec(spec: reading.Spec, part: _Part) -> reading.Spec:
  """Returns the shape and dtype of the parameter that a part becomes.

  An array of float64 may stand where the model has float32: it is kept, and the
  model computes with it in the dtype that it is told.
  """
  # Cutting and transposing a broadcast array takes no memory and gives the
  # shape.
  blank = np.broadcast_to(np.zeros((), bool), spec.shape)
  shape = _transpose(_cut(blank, part), part.path).shape
  dtype = 'float32' if spec.dtype == 'float64' else spec.dtype
  return reading.Spec(shape, dtype)


def _cut(array: np.ndarray, part: _Part) -> np.ndarray:
  """Returns a part of an array."""
  # If the length is not a multiple of the number of parts, their sizes differ
  # and `check_match` reports the shapes.
  size = -(-array.shape[0] // part.parts) if part.parts > 1 else None
  return array if size is None else array[part.number * size :][:size]


def _transpose(array: np.ndarray, path: str) -> np.ndarray:
  """Moves the axes of a kernel from PyTorch's order to Flax's."""
  if not path.endswith('/kernel'):
    return array
  return array.transpose(*range(2, array.ndim), 1, 0)
