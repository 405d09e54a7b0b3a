"""Parameter trees as flat dicts: their identity, and what two differ in."""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util
import numpy as np

from rvm_jax.storage import fingerprints


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
  """Nested dicts to one dict; keys are paths joined with '/'."""
  return traverse_util.flatten_dict(tree, sep='/')


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Inverse of `flatten`."""
  return traverse_util.unflatten_dict(flat, sep='/')


def fingerprint(tree: Mapping[str, Any]) -> str:
  """Sixteen hexadecimal digits that tell parameters apart, wherever they lie.

  Equal for equal names, shapes, dtypes and bits.
  """

  def parts():
    for key, array in sorted(flatten(tree).items()):
      yield f'{key} {_describe(array)}\n'.encode()
      yield np.ascontiguousarray(array).data

  return fingerprints.hash_parts(parts())


def check_match(
    name: str, found: Mapping[str, Any], expected: Mapping[str, Any]
):
  """Compares keys, shapes and dtypes of two flat dicts of arrays.

  Args:
    name: of what was found, for the message.
    found: path to array.
    expected: path to array or `jax.ShapeDtypeStruct`.

  Raises:
    ValueError: lists every missing, unused and misshapen key.
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


def _describe(array: Any) -> str:
  return f'{array.dtype}{list(array.shape)}'
