"""The collectives of a compiled program: what devices send each other."""

from collections.abc import Iterator, Sequence
import itertools
from typing import NamedTuple

from rvm_jax.training.plan import arrays
from rvm_jax.training.plan import costs
from rvm_jax.training.plan import hlo

_OPS = (
    'all-reduce',
    'all-gather',
    'reduce-scatter',
    'all-to-all',
    'collective-permute',
)


class Collective(NamedTuple):
  """The collectives of a program that are of one kind.

  Attributes:
    static: number of them in the program's text.
    executed: number of them that a run of the program executes.
    elements: number of elements, without padding, of the arrays that they
      reduce, gather or send in a run. Of a gathered or scattered array all
      elements count, and not only the device's part.
    num_bytes: the same in bytes.
  """

  static: int
  executed: int
  elements: int
  num_bytes: int


def is_collective(cost: costs.Cost) -> bool:
  """Returns whether an instruction itself sends or receives data.

  A fusion that contains a collective also does other work, so it is not one.

  Args:
    cost: cost of the instruction.
  """
  op = cost.instruction.op
  return op.removesuffix('-start') in _OPS or op in ('send', 'recv')


def sum_kinds(
    module: hlo.Module, found: Sequence[costs.Cost]
) -> dict[str, Collective]:
  """Returns the collectives of a program by kind.

  The kind is the name of the operation, or 'between slices' for what slices of
  TPUs send each other.

  Args:
    module: the program.
    found: costs of its instructions, as returned by `costs.count`.
  """
  sums: dict[str, Collective] = {}
  for cost in found:
    for kind, group in _find(module, cost.instruction, cost.operands):
      old = sums.get(kind, Collective(0, 0, 0, 0))
      sums[kind] = Collective(
          old.static + 1,
          old.executed + cost.runs,
          old.elements + cost.runs * sum(x.num_elements for x in group),
          old.num_bytes + cost.runs * sum(x.dense_bytes for x in group),
      )
  return sums


def _find(
    module: hlo.Module, x: hlo.Instruction, operands: Sequence[arrays.Array]
) -> Iterator[tuple[str, Sequence[arrays.Array]]]:
  """Yields the kind and the arrays of each collective in an instruction.

  There may be several: compilers put collectives into fusions to overlap them
  with other work.

  Args:
    module: the program.
    x: the instruction.
    operands: the arrays that the instruction takes.
  """
  kind = x.op.removesuffix('-start')
  if kind in _OPS:
    result = x.result
    if x.op.endswith('-start') and len(result) > len(operands):
      # The result is a tuple that begins with the operands, followed by the
      # arrays that the collective returns.
      result = result[len(operands) : 2 * len(operands)]
    # The larger side has the whole array: a gather's result, the operand of a
    # scatter.
    yield kind, max(
        operands, result, key=lambda z: sum(y.num_elements for y in z)
    )
  elif x.op == 'send' and '_xla_megascale' in x.attributes:
    yield 'between slices', operands
  elif x.op == 'fusion':
    for name in x.called('calls'):
      results = {y.name: y.result for y in module.computations[name]}
      for y in module.computations[name]:
        inner = itertools.chain(*(results.get(z, ()) for z in y.operands))
        yield from _find(module, y, tuple(inner))
