"""Settles whether the features of each frame are centred before propagation."""

from collections.abc import Mapping
from typing import Any


def settle(protocol: Mapping[str, Any], center_frames: bool) -> dict[str, Any]:
  """Returns a benchmark's settings with `propagation.center_frames` set.

  Args:
    protocol: settings of the benchmark, by name. They are not changed.
    center_frames: the value that `center_frames` gets if it is None or missing,
      as in results of earlier versions. A benchmark without label propagation
      has no such setting and gets none.
  """
  settled = dict(protocol)
  if 'propagation' in protocol:
    propagation = dict(protocol['propagation'])
    if propagation.setdefault('center_frames') is None:
      propagation['center_frames'] = center_frames
    settled['propagation'] = propagation
  return settled
