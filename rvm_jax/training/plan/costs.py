"""What a compiled program costs a device: memory traffic and clock cycles.

The counts follow from the text of the program alone:

  - An instruction moves the bytes of its operands and of its result between the
    chip and the HBM, padded as they lie there. What lies inside of the chip is
    free. A fusion that uses only a slice of an operand reads only the slice.
  - An instruction in a loop counts as often as the loop goes round.
  - The cycles are the estimates that the compiler for TPUs writes into the
    text. It gives none for Pallas kernels, which `kernels` estimates.
"""

from collections.abc import Iterator, Sequence
import itertools
from typing import NamedTuple

from rvm_jax.training.plan import arrays
from rvm_jax.training.plan import hlo

# Target of the custom calls that execute Pallas kernels on TPUs.
KERNEL = 'tpu_custom_call'

# Instructions that count as moving nothing, such as those that only name, group
# or reserve memory. An instruction that ends what another one started, such as
# 'copy-done', moves nothing either.
_FREE = frozenset(
    (
        'after-all',
        'bitcast',
        'constant',
        'get-tuple-element',
        'iota',
        'optimization-barrier',
        'parameter',
        'partition-id',
        'replica-id',
        'tuple',
    )
)
_FREE_TARGETS = ('AllocateBuffer', 'ConcatBitcast')
# Instructions that execute the computations that they call.
_CALLS = ('async-start', 'call', 'conditional')


class Cost(NamedTuple):
  """What one instruction costs in a whole run of the program.

  Attributes:
    instruction: the instruction.
    operands: the arrays that it takes.
    op_name: names of the JAX functions that it comes from, joined with '/'.
    runs: how often it is executed.
    num_bytes: bytes that all runs move from and to the HBM.
    cycles: clock cycles that the compiler estimates for all runs.
  """

  instruction: hlo.Instruction
  operands: tuple[arrays.Array, ...]
  op_name: str
  runs: int
  num_bytes: int
  cycles: int


def count(module: hlo.Module) -> list[Cost]:
  """Returns the cost of each instruction that moves or computes something.

  Of a conditional, all branches count.

  Args:
    module: the program.

  Raises:
    ValueError: the program has a loop of unknown length.
  """
  return list(_walk(module, _Uses(module), module.entry, 1, ''))


def find_kernels(found: Sequence[Cost]) -> list[Cost]:
  """Returns the costs of the Pallas kernels, whose cycles are unknown."""
  return [x for x in found if x.instruction.target == KERNEL]


def _walk(
    module: hlo.Module, uses: '_Uses', name: str, runs: int, context: str
) -> Iterator[Cost]:
  """Yields the costs of the instructions of a computation.

  Args:
    module: the program.
    uses: tells which part of its operands a fusion uses.
    name: name of the computation.
    runs: how often the computation is executed.
    context: `op_name` of the instructions that have none of their own, that of
      the instruction that calls the computation.
  """
  results = {x.name: x.result for x in module.computations[name]}
  for x in module.computations[name]:
    op_name = x.op_name or context
    if x.op == 'while':
      (body,) = x.called('body')
      rounds = module.trip_count(x)
      yield from _walk(module, uses, body, runs * rounds, op_name)
    elif x.op in _CALLS:
      for called in x.called():
        yield from _walk(module, uses, called, runs, op_name)
    elif not (
        x.op in _FREE or x.op.endswith('-done') or x.target in _FREE_TARGETS
    ):
      operands = [results.get(operand, ()) for operand in x.operands]
      yield Cost(
          x,
          tuple(itertools.chain(*operands)),
          op_name,
          runs,
          _count_bytes(x, operands, uses) * runs,
          x.estimated_cycles * runs,
      )


def _count_bytes(
    x: hlo.Instruction,
    operands: Sequence[Sequence[arrays.Array]],
    uses: '_Uses',
) -> int:
  """Returns the bytes that one run of an instruction moves.

  Args:
    x: the instruction.
    operands: the arrays of each of its operands.
    uses: tells which part of its operands a fusion uses.
  """
  read = [arrays.total_bytes(group) for group in operands]
  # Custom calls to libraries on GPUs, whose targets begin with two underscores,
  # return their scratch memory as a further array of bytes. It is not counted.
  written = arrays.total_bytes(
      [
          array
          for array in x.result
          if not (x.target.startswith('__') and array.dtype in ('s8', 'u8'))
      ]
  )
  if x.op in ('copy-start', 'slice-start'):
    # The result begins with the source and the copy, in either order. The size
    # of the smaller one is moved, and counts for each of them that is in the
    # HBM.
    ends = x.result[:2]
    size = min(array.num_bytes for array in ends)
    return size * sum(array.space == 0 for array in ends)
  if x.op == 'send':
    return sum(read)
  if x.op in ('slice', 'dynamic-slice'):
    # Only the slice is read.
    return written + min(read[0], written)
  if x.op == 'dynamic-update-slice':
    # The update is read, and written over a part of the first operand.
    return 2 * read[1]
  if x.op == 'fusion':
    (computation,) = x.called('calls')
    for i, size in enumerate(read):
      sliced, updated = uses.find(computation, i)
      if updated:
        # The operand's memory becomes that of the result, and only the updated
        # slice is written.
        written = max(0, written - size) + min(updated, size)
      read[i] = min(size, sliced)
  return written + sum(read)


class _Uses:
  """Finds how much of its operands a fusion uses."""

  def __init__(self, module: hlo.Module):
    self._module = module
    self._found: dict[tuple[str, int], tuple[int, int]] = {}

  def find(self, name: str, index: int) -> tuple[int, int]:
    """Returns how many bytes of a parameter are read, and how many updated.

    Args:
      name: name of the computation.
      index: number of the parameter, counted from 0.
    """
    if (name, index) not in self._found:
      self._found[name, index] = self._follow(name, index)
    return self._found[name, index]

  def _follow(self, name: str, index: int) -> tuple[int, int]:
    """Computes what `find` returns, from the uses of a parameter.

    A slice reads only the slice, and an update in place reads nothing of the
    parameter. Any other use reads the whole parameter.
    """
    body = self._module.computations[name]
    results = {x.name: x.result for x in body}
    start = next(
        (x for x in body if x.op == 'parameter' and x.argument == str(index)),
        None,
    )
    if start is None:
      return 0, 0
    whole = sum(x.num_bytes for x in start.result)
    read = updated = 0
    # Names under which the parameter is known and whose uses are still to be
    # looked at. A bitcast or a reshape gives it a further name.
    names = [start.name]
    while names:
      current = names.pop()
      for x in body:
        for position, operand in enumerate(x.operands):
          if operand != current or x.op == 'tuple':
            continue
          if x.op in ('bitcast', 'reshape'):
            names.append(x.name)
          elif x.op in ('slice', 'dynamic-slice') and position == 0:
            read += sum(y.num_bytes for y in x.result)
          elif x.op == 'dynamic-update-slice' and position == 0:
            updated += sum(y.num_bytes for y in results[x.operands[1]])
          elif x.op == 'fusion':
            inner = self.find(x.called('calls')[0], position)
            read, updated = read + inner[0], updated + inner[1]
          else:
            read += whole
    return min(read, whole), updated
