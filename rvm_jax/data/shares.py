"""Parses the flag --shard=I/N, by which several machines share work."""

import re


def parse(text: str) -> tuple[int, int]:
  """Returns the number of a part, counted from 0, and how many there are.

  Args:
    text: both, such as '0/4' for the first of four parts.

  Raises:
    ValueError: the text has another form, or there is no part of this number.
  """
  match = re.fullmatch('([0-9]+)/([0-9]+)', text)
  if not match or int(match[1]) >= int(match[2]):
    raise ValueError(f'must be like 0/4 to 3/4, got {text!r}')
  return int(match[1]), int(match[2])
