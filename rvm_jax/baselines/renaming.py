"""Names parameters of published checkpoints as this project does, strictly."""

from collections.abc import Iterator, Mapping
import itertools
import re
from typing import Any, NamedTuple

from absl import logging
import numpy as np

from rvm_jax.baselines import reading
from rvm_jax.storage import damage
from rvm_jax.weights import trees

# Patterns of PyTorch's keys, and the paths that these get.
Renames = Mapping[str, str | tuple[str | None, ...]]


class Table(NamedTuple):
  r"""How the keys of a family of models become paths of parameters.

  Attributes:
    renames: paths by regular expressions that match keys as a whole. A path may
      refer to the groups of its expression (`\1`). Several paths share an
      array in equal parts of its first axis, and a part with None in place of a
      path is dropped. An expression without the key's last name, where that is
      `weight` or `bias`, stands for both: `norm` names `norm.weight` and
      `norm.bias`. PyTorch's `weight` becomes `kernel` if it has several axes
      and `scale` if it has one.
    dropped: why arrays are dropped, by regular expressions that match their
      keys as a whole.
  """

  renames: Renames
  dropped: Mapping[str, str]


class _Part(NamedTuple):
  """A part of an array that becomes a parameter.

  Attributes:
    key: key of the array in the checkpoint.
    path: path of the parameter.
    number: number of the part, from 0.
    parts: number of parts of the array.
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
  [out, in] becomes [in, out], and [out, in, height, width] becomes
  [height, width, in, out].

  Args:
    arrays: arrays of the checkpoint.
    table: names of the parameters.
    expected: parameter tree of the model, arrays or `jax.ShapeDtypeStruct`s.

  Returns:
    The parameter tree of the model, np.ndarrays.

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
      # The key is reported as it is, among those that are unused.
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
  # Parts of an array stand side by side, so that each array is read once.
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
  """Returns shape and dtype of a parameter."""
  # An array without elements of its own, of which only the shape is real.
  blank = np.broadcast_to(np.zeros((), bool), spec.shape)
  shape = _transpose(_cut(blank, part), part.path).shape
  return reading.Spec(shape, spec.dtype)


def _cut(array: np.ndarray, part: _Part) -> np.ndarray:
  """Returns a part of an array."""
  # Of a length that cannot be divided, the rest is lost here and the shapes
  # are then found not to match.
  size = -(-array.shape[0] // part.parts) if part.parts > 1 else None
  return array if size is None else array[part.number * size :][:size]


def _transpose(array: np.ndarray, path: str) -> np.ndarray:
  """Moves the axes of a kernel from PyTorch's order to Flax's."""
  if not path.endswith('/kernel'):
    return array
  return array.transpose(*range(2, array.ndim), 1, 0)
