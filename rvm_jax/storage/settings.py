"""Compares saved settings with those of the running process."""

from collections.abc import Mapping
from typing import Any


def list_differences(
    saved: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, str]:
  """Lists the settings whose values differ.

  Args:
    saved: nested settings, as read from a JSON file.
    now: nested settings of this process. Tuples equal lists, because JSON
      stores them as lists.

  Returns:
    For each differing setting its path, such as 'data.height', and a sentence
    with both values. Empty if nothing differs.
  """
  old, new = flatten(saved), flatten(now)

  def describe(flat, key):
    return flat[key] if key in flat else 'no such key'

  return {
      key: f'saved {describe(old, key)}, now {describe(new, key)}'
      for key in sorted({key for key, _ in old.items() ^ new.items()})
  }


def flatten(settings: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
  """Returns the text of each value by its path, such as 'data.height'.

  Args:
    settings: nested settings. A tuple has the text of the list that JSON makes
      of it.
    prefix: text to put before every path.
  """
  flat: dict[str, str] = {}
  for key, value in settings.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      value = list(value) if isinstance(value, tuple) else value
      flat[prefix + key] = repr(value)
  return flat
