"""Sizes of models, read from configs and from the shapes of arrays."""

from collections.abc import Mapping, Sequence
import re
from typing import Any

from rvm_jax.baselines import reading


def select(
    name: str, config: Mapping[str, Any], keys: Sequence[str], **supported: Any
) -> list[Any]:
  """Returns the values of some keys of a config, and checks others.

  Args:
    name: path of the config, for error messages.
    config: contents of the config.
    keys: keys whose values are returned.
    **supported: the only supported value of other keys; configs of older
      versions of a library may lack these keys.

  Raises:
    ValueError: one of `keys` is missing, or another value is not supported.
  """
  if missing := [key for key in keys if key not in config]:
    raise ValueError(f'{name} lacks {", ".join(missing)}')
  for key, value in supported.items():
    if key in config and config[key] != value:
      raise ValueError(
          f'{name}: {key} must be {value!r}, the only supported value, got'
          f' {config[key]!r}'
      )
  return [config[key] for key in keys]


def find_size(
    arrays: reading.Arrays, pattern: str, axis: int, ndim: int
) -> int:
  """Returns the length of an axis of the first array whose key matches.

  Args:
    arrays: arrays of a checkpoint.
    pattern: regular expression that matches the key as a whole.
    axis: axis of the array.
    ndim: number of axes that the array must have.

  Raises:
    ValueError: no key matches, or the array has another number of axes.
  """
  for key, spec in arrays.specs.items():
    if re.fullmatch(pattern, key):
      if len(spec.shape) != ndim:
        raise ValueError(
            f'{arrays.name}: {key} must have {ndim} axes, got'
            f' {list(spec.shape)}'
        )
      return spec.shape[axis]
  raise ValueError(f'{arrays.name} has no array like {pattern}')


def count_blocks(arrays: reading.Arrays, pattern: str) -> int:
  """Returns the number of blocks of a model, 0 if no key matches.

  Args:
    arrays: arrays of a checkpoint, which number blocks from 0.
    pattern: regular expression that matches the beginning of the keys of a
      block. Its only group is the number of the block.
  """
  matches = (re.match(pattern, key) for key in arrays.specs)
  return max((int(match[1]) + 1 for match in matches if match), default=0)


def find_heads(
    arrays: reading.Arrays, width: int, known: Mapping[int, int]
) -> int:
  """Returns the number of attention heads, which no array's shape tells.

  Args:
    arrays: arrays of a checkpoint.
    width: width of the tokens.
    known: number of heads of each released model, by its width.

  Raises:
    ValueError: no released model has this width.
  """
  if width not in known:
    raise ValueError(
        f'{arrays.name}: tokens have the width {width}, and those of released'
        f' models {", ".join(map(str, known))}; of other sizes the number of'
        ' heads is not known without a config.json of Hugging Face'
    )
  return known[width]
