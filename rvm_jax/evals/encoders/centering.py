"""Decides whether features are centred before their labels are propagated."""

from collections.abc import Mapping
from typing import Any


def settle(protocol: Mapping[str, Any], center_frames: bool) -> dict[str, Any]:
  """Returns a benchmark's settings with `propagation.center_frames` filled in.

  A value that is True or False is kept. A benchmark without label propagation,
  whose settings have no 'propagation', does not get the setting.

  Args:
    protocol: settings of the benchmark, by name. They are not changed.
    center_frames: value to fill in if the setting is None, or if it is missing
      because the settings are those of a result of an earlier version.
  """
  settled = dict(protocol)
  if 'propagation' in protocol:
    propagation = dict(protocol['propagation'])
    if propagation.setdefault('center_frames') is None:
      propagation['center_frames'] = center_frames
    settled['propagation'] = propagation
  return settled
