"""Flattens, fingerprints and compares parameter trees."""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util
import numpy as np

from rvm_jax.storage import damage
from rvm_jax.storage import fingerprints


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
  """Flattens nested dicts to one dict; keys are paths joined with '/'."""
  return traverse_util.flatten_dict(tree, sep='/')


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Nests a flat dict again: the inverse of `flatten`."""
  return traverse_util.unflatten_dict(flat, sep='/')


def fingerprint(tree: Mapping[str, Any]) -> str:
  """Returns 16 hexadecimal digits that identify parameters.

  They are the start of a SHA-256 hash of the arrays' paths, shapes, dtypes and
  bits; files, devices and the order of the keys do not matter.

  Args:
    tree: nested dicts of arrays, on the host or on devices.
  """

  def parts():
    for key, array in sorted(flatten(tree).items()):
      yield f'{key} {_describe(array)}\n'.encode()
      yield np.ascontiguousarray(array).data

  return fingerprints.hash_parts(parts())


def check_match(
    name: str, found: Mapping[str, Any], expected: Mapping[str, Any]
):
  """Compares the keys, shapes and dtypes of two flat dicts of arrays.

  Args:
    name: name of the file or tree that `found` comes from, for the message.
    found: arrays by key.
    expected: arrays or `jax.ShapeDtypeStruct`s by key.

  Raises:
    ValueError: the dicts differ. The message lists every key that is missing
      in `found`, unused, or of another shape or dtype.
  """
  missing = sorted(set(expected) - set(found))
  unused = sorted(set(found) - set(expected))
  misshapen = [
      f'{key}: expected {_describe(expected[key])}, got {_describe(found[key])}'
      for key in sorted(set(expected) & set(found))
      if _describe(expected[key]) != _describe(found[key])
  ]
  problems = [
      f'{len(keys)} {kind}:\n    ' + '\n    '.join(keys)
      for kind, keys in (
          ('missing', missing),
          ('unused', unused),
          ('misshapen', misshapen),
      )
      if keys
  ]
  if problems:
    raise ValueError(
        f'{name} does not hold the expected arrays\n  ' + '\n  '.join(problems)
    )


def check_finite(name: str, arrays: Mapping[str, np.ndarray]):
  """Checks that no parameter is infinite or NaN.

  Args:
    name: name of the file or tree that the arrays come from, for the message.
    arrays: arrays on the host by key.

  Raises:
    ValueError: an array has such elements. The message names the first few of
      these arrays, with the number of elements.
  """
  counts = {}
  for key, array in arrays.items():
    # NumPy warns of some of the values that are counted here.
    with np.errstate(invalid='ignore'):
      if count := array.size - int(np.isfinite(array).sum()):
        counts[key] = f'{key} ({count} of {array.size})'
  if counts:
    raise ValueError(
        f'{name} has parameters that are not finite (number of elements):'
        f' {damage.name_keys(list(counts.values()))}'
    )


def _describe(array: Any) -> str:
  """Returns dtype and shape, such as 'float32[48, 96]'."""
  return f'{array.dtype}{list(array.shape)}'
