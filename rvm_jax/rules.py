"""Rules of what the settings of a config may be, and how they are checked."""

from collections.abc import Callable, Mapping
import difflib
import math
from typing import Any, NamedTuple


class Rule(NamedTuple):
  """What the value of a setting may be.

  Attributes:
    kind: the kind of value in words, such as 'a whole number'.
    bounds: what the value must be within its kind, such as 'at least 1'; '' if
      every value of the kind is allowed.
    is_kind: function that returns whether a value is of the kind.
    is_within: function that returns whether a value of the kind is allowed.
  """

  kind: str
  bounds: str
  is_kind: Callable[[Any], bool]
  is_within: Callable[[Any], bool] = lambda _: True


def is_whole(value: Any) -> bool:
  """Returns whether a value is an int that 32 bits hold, and no bool."""
  is_int = isinstance(value, int) and not isinstance(value, bool)
  return is_int and abs(value) < 2**31


def is_number(value: Any) -> bool:
  """Returns whether a value is a finite number, and no bool."""
  is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
  return is_real and math.isfinite(value)


def is_text(value: Any) -> bool:
  """Returns whether a value is a text that is not empty."""
  return isinstance(value, str) and bool(value)


def whole(least: int, most: int | None = None) -> Rule:
  """Returns the rule of a whole number.

  Args:
    least: smallest number that is allowed.
    most: greatest number that is allowed; None for no limit below 2^31.
  """
  bounds = f'at least {least}' if most is None else f'in {least}..{most}'
  return Rule(
      'a whole number below 2 ** 31',
      bounds,
      is_whole,
      lambda x: x >= least and (most is None or x <= most),
  )


def number(bounds: str, is_within: Callable[[float], bool]) -> Rule:
  """Returns the rule of a finite number within bounds.

  Args:
    bounds: the bounds in words, such as 'above 0'.
    is_within: function that returns whether a number is within the bounds.
  """
  return Rule('a finite number', bounds, is_number, is_within)


def one_of(*names: str) -> Rule:
  """Returns the rule of a text that is one of several names."""
  return Rule(
      'a name', f'one of {", ".join(names)}', is_text, lambda x: x in names
  )


def optional(rule: Rule) -> Rule:
  """Returns the rule of a setting that may also be None, if it is not set."""
  return Rule(
      f'{rule.kind} or None',
      rule.bounds,
      lambda x: x is None or rule.is_kind(x),
      lambda x: x is None or rule.is_within(x),
  )


def several(kind: str, rule: Rule) -> Rule:
  """Returns the rule of a tuple of one or more values that each keep a rule.

  Args:
    kind: the kind of the values in words, in the plural.
    rule: the rule of each value.
  """
  return Rule(
      f'a tuple of one or more {kind}',
      f'a tuple of {kind} {rule.bounds}',
      lambda x: (
          isinstance(x, tuple) and bool(x) and all(map(rule.is_kind, x))
      ),
      lambda x: all(map(rule.is_within, x)),
  )


def interval(rule: Rule) -> Rule:
  """Returns the rule of a pair (least, greatest) that both keep a rule."""
  return Rule(
      'a pair (least, greatest) of numbers',
      f'in order, and each {rule.bounds}',
      lambda x: (
          isinstance(x, tuple) and len(x) == 2 and all(map(rule.is_kind, x))
      ),
      lambda x: x[0] <= x[1] and all(map(rule.is_within, x)),
  )


COUNT = whole(1)
COUNT_OR_ZERO = whole(0)
POSITIVE = number('above 0', lambda x: x > 0)
NOT_NEGATIVE = number('at least 0', lambda x: x >= 0)
SHARE = number('in [0, 1]', lambda x: 0 <= x <= 1)
SHARE_BELOW_ONE = number('in [0, 1)', lambda x: 0 <= x < 1)
TEXT = Rule('a text that is not empty', '', is_text)
FLAG = Rule('True or False', '', lambda x: isinstance(x, bool))


def check(found: Mapping[str, Any], rules: Mapping[str, Rule], prefix: str):
  """Checks that all settings and no others are there, and keep their rules.

  Args:
    found: the values of the settings, by their paths such as 'data.height'.
    rules: the rule of each setting, by its path.
    prefix: what messages put before a path, such as 'config.'.

  Raises:
    ValueError: a setting is unknown, missing or wrong. The message is one line.
  """
  for key in found:
    if key not in rules:
      raise ValueError(
          f'{prefix}{key} is no setting{_suggest(key, rules, prefix)}'
      )
  if missing := [prefix + key for key in rules if key not in found]:
    raise ValueError(
        f'the config lacks {", ".join(missing)}; configs/rvm_base.py has every'
        ' setting, with its meaning'
    )
  for key, rule in rules.items():
    value = found[key]
    if not rule.is_kind(value):
      needed = rule.kind
    elif not rule.is_within(value):
      needed = rule.bounds
    else:
      continue
    raise ValueError(f'{prefix}{key}={value!r} must be {needed}')


def _suggest(key: str, known: Mapping[str, Any], prefix: str) -> str:
  """Returns the end of the message about an unknown setting.

  It suggests the most similar known setting, or says that `key` is the name of
  a group of settings. If there is nothing to suggest it is ''.
  """
  if any(name.startswith(f'{key}.') for name in known):
    return ', but a group of settings'
  # The last parts of paths are compared. Of two settings with the same last
  # part, the one in the group of `key` is meant.
  group, _, last = key.rpartition('.')
  ordered = sorted(known, key=lambda name: name.rpartition('.')[0] == group)
  by_last = {name.rpartition('.')[2]: name for name in ordered}
  near = difflib.get_close_matches(last, by_last, 1)
  return f'; did you mean {prefix}{by_last[near[0]]}?' if near else ''
