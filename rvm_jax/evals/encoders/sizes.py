"""Makes frame sizes in benchmark settings multiples of the patch side."""

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
  """Returns a benchmark's settings with frame sizes that fit an encoder.

  A frame size is a pair of settings `height` and `width`, at the top level of
  `protocol` or in a mapping nested in it. The given mappings are not changed.

  Args:
    protocol: settings of the benchmark, by name.
    patch: P, side of the encoder's patches in pixels.
    resize_to_patch: whether to replace a height or width that is not a multiple
      of P by the nearest positive multiple, the larger one of two equally near
      ones. If False, such a height or width is an error.
    key: name of `protocol` in the error message.

  Raises:
    ValueError: a height or width is below 1; or it is not a multiple of P and
      `resize_to_patch` is False, and then the message names the nearest
      multiples.
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
  for name in _SIDES:
    if protocol[name] < 1:
      raise ValueError(f'{key}.{name}={protocol[name]} must be at least 1')
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
  """Returns the positive multiples of `patch` next to `side`.

  Returns:
    `side` itself if it is a multiple; otherwise the next smaller one, unless it
    is 0, and the next larger one. The nearest comes first; of two equally near
    ones, the larger.
  """
  below = side // patch * patch
  candidates = [below] if below == side else [below + patch, below]
  candidates = [x for x in candidates if x]
  return sorted(candidates, key=lambda x: abs(x - side))
