"""Sizes of frames that an encoder can cut into whole patches."""

from collections.abc import Mapping
from typing import Any

_SIDES = 'height', 'width'


def fit(
    protocol: Mapping[str, Any],
    patch: int,
    *,
    resize_to_patch: bool,
    key: str = 'config.protocol',
) -> dict[str, Any]:
  """Returns a benchmark's protocol with frames of whole patches.

  Looks at every group of settings that has a `height` and a `width`, wherever
  it is nested.

  Args:
    protocol: the benchmark's settings.
    patch: P, side of the encoder's patches in pixels.
    resize_to_patch: replaces a side that is not a multiple of P by the nearest
      one; of two equally near ones by the larger.
    key: the protocol's name in the error message.

  Raises:
    ValueError: a side is not a multiple of P and `resize_to_patch` is False;
      the message names the nearest sides that are.
  """
  fitted = {
      name: fit(
          value, patch, resize_to_patch=resize_to_patch, key=f'{key}.{name}'
      )
      if isinstance(value, Mapping)
      else value
      for name, value in protocol.items()
  }
  if not protocol.keys() >= set(_SIDES):
    return fitted
  nearest = {name: _list_nearest(protocol[name], patch) for name in _SIDES}
  best = {name: sides[0] for name, sides in nearest.items()}
  if not resize_to_patch and any(best[x] != protocol[x] for x in _SIDES):
    height, width = (
        f'{name}={protocol[name]} (nearest:'
        f' {" and ".join(map(str, sorted(nearest[name])))})'
        for name in _SIDES
    )
    raise ValueError(
        f"{key}: {height} and {width} must be multiples of the encoder's patch"
        f' side, {patch}. Set them to such sides, or set'
        ' config.resize_to_patch=True to take the nearest,'
        f' {best["height"]} x {best["width"]}'
    )
  return fitted | best


def _list_nearest(side: int, patch: int) -> list[int]:
  """Multiples of `patch` around a side, the nearest first."""
  below = side // patch * patch
  candidates = [below] if below == side else [below + patch, below]
  candidates = [x for x in candidates if x]
  return sorted(candidates, key=lambda x: abs(x - side))
