"""Reads compiled programs in the text form of XLA's HLO.

`jax.stages.Compiled.as_text` gives such a text, in which instructions stand in
the order in which a device executes them. Each has a line of the form

  %name = type op(%operand, ...), attribute=value, ..., backend_config={...}

where the type is that of an array, as in `arrays`, or a tuple of types.
"""

import re
from typing import NamedTuple

from rvm_jax.training.plan import arrays

_COMPUTATION = re.compile(r'(ENTRY )?%(\S+) \(.*\{$')
_INSTRUCTION = re.compile(r'\s+(?:ROOT )?%(\S+) = (.*)$')
_REFERENCE = re.compile(r'%([^\s,(){}]+)')
_CALLED = re.compile(
    r'\b(calls|to_apply|body|condition|branch_computations|true_computation'
    r'|false_computation)=(\{[^}]*\}|%[^\s,]+)'
)


class Instruction(NamedTuple):
  """An instruction of a computation.

  Attributes:
    name: name of the instruction, which is unique in its module.
    op: the operation, such as 'fusion'.
    result: the arrays that the instruction returns.
    operands: names of the instructions whose results it takes.
    argument: the text between the parentheses, such as the value of a constant.
    attributes: the text after the parentheses.
  """

  name: str
  op: str
  result: tuple[arrays.Array, ...]
  operands: tuple[str, ...]
  argument: str
  attributes: str

  @property
  def op_name(self) -> str:
    """Names of the JAX functions it comes from, joined with '/'; may be ''."""
    return self._find(r'op_name="([^"]*)"')

  @property
  def target(self) -> str:
    """Name of the function that a custom call calls; '' for other ops."""
    return self._find(r'custom_call_target="([^"]*)"')

  @property
  def estimated_cycles(self) -> int:
    """The compiler's estimate of the device's clock cycles; 0 without one."""
    return int(self._find(r'"estimated_cycles":"(\d+)"') or 0)

  def called(self, *kinds: str) -> list[str]:
    """Returns the names of the computations that the instruction calls.

    Args:
      *kinds: attributes to look for, such as 'body'; all if there are none.
    """
    return [
        name
        for kind, names in _CALLED.findall(self.attributes)
        if not kinds or kind in kinds
        for name in _REFERENCE.findall(names)
    ]

  def _find(self, pattern: str) -> str:
    """Returns the first group of a pattern in the attributes, or ''."""
    found = re.search(pattern, self.attributes)
    return found.group(1) if found else ''


class Module(NamedTuple):
  """A compiled program.

  Attributes:
    computations: the instructions of each computation, by its name.
    entry: name of the computation that the program starts with.
  """

  computations: dict[str, list[Instruction]]
  entry: str

  def trip_count(self, loop: Instruction) -> int:
    """Returns how often the body of a loop is executed.

    Compilers for GPUs write it into the text. Those for TPUs do not: there it
    is the constant that the loop's condition compares its counter with, since
    the loops of `jax.lax.scan` count from 0.

    Args:
      loop: an instruction whose op is 'while'.

    Raises:
      ValueError: the condition has no such constant, as that of a loop whose
        length depends on data.
    """
    found = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.attributes)
    if found:
      return int(found.group(1))
    (condition,) = loop.called('condition')
    limits = [
        int(x.argument)
        for x in self.computations[condition]
        if x.op == 'constant' and x.argument.isdigit()
    ]
    if not limits:
      raise ValueError(
          f'the loop {loop.name} has no constant number of rounds, so that the'
          ' cost of the program cannot be counted'
      )
    # The condition may have smaller constants besides the limit.
    return max(limits)


def parse(text: str) -> Module:
  """Reads a program.

  Args:
    text: the program, as `jax.stages.Compiled.as_text` returns it.

  Raises:
    ValueError: the text has no entry computation, or an unknown dtype.
  """
  computations: dict[str, list[Instruction]] = {}
  entry, current = None, None
  for line in text.splitlines():
    if start := _COMPUTATION.match(line):
      current = computations.setdefault(start.group(2), [])
      entry = start.group(2) if start.group(1) else entry
    elif current is not None and (found := _INSTRUCTION.match(line)):
      current.append(_parse_instruction(*found.groups()))
  if entry is None:
    raise ValueError('the text is no HLO module: it has no ENTRY computation')
  return Module(computations, entry)


def _parse_instruction(name: str, rest: str) -> Instruction:
  """Returns the instruction that the parts of a line describe."""
  # The type of a tuple has spaces, that of an array has none.
  end = _close(rest, 0) + 1 if rest.startswith('(') else rest.index(' ')
  kind, rest = rest[:end], rest[end:].lstrip()
  start = rest.index('(')
  end = _close(rest, start)
  return Instruction(
      name=name,
      op=rest[:start],
      result=arrays.parse(kind),
      operands=tuple(_REFERENCE.findall(rest[start:end])),
      argument=rest[start + 1 : end],
      attributes=rest[end + 1 :],
  )


def _close(text: str, start: int) -> int:
  """Returns the index of the parenthesis that closes the one at `start`.

  Raises:
    ValueError: there is no such parenthesis.
  """
  depth = 0
  for match in re.finditer(r'[()]', text[start:]):
    depth += 1 if match.group() == '(' else -1
    if not depth:
      return start + match.start()
  raise ValueError(f'no closing parenthesis in {text[start:start + 60]}...')
