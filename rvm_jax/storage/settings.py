"""What differs between settings that were saved and those of now."""

from collections.abc import Mapping
from typing import Any


def list_differences(
    saved: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, str]:
  """Says of each nested key, 'a.b', with another value what was and is.

  Args:
    saved: as JSON gives it back.
    now: alike; tuples are what JSON makes of them, lists.
  """
  old, new = _flatten(saved), _flatten(now)
  name = lambda flat, key: flat[key] if key in flat else 'no such key'
  return {
      key: f'saved {name(old, key)}, now {name(new, key)}'
      for key in sorted({key for key, _ in old.items() ^ new.items()})
  }


def _flatten(settings: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
  """Nested settings to {'a.b': text of the value}."""
  flat = {}
  for key, value in settings.items():
    if isinstance(value, Mapping):
      flat |= _flatten(value, f'{prefix}{key}.')
    else:
      value = list(value) if isinstance(value, tuple) else value
      flat[prefix + key] = repr(value)
  return flat
