"""Divides the cost of a program among the parts of a model.

The compiler keeps, for each instruction, the names of the Flax modules that it
comes from. A part has the name of a part of the model, followed by that of a
module inside of its blocks: 'encoder/attention' is the attention in all blocks
of the encoder. Instructions without such names, such as those of the optimizer,
are counted as outside of the model.
"""

from collections.abc import Sequence
import re
from typing import NamedTuple

from rvm_jax.training.plan import collectives
from rvm_jax.training.plan import costs

OUTSIDE = 'outside of the model'

# Names in a path that are no modules: transformations of JAX, such as jvp(RVM)
# or checkpoint, the bodies of loops, and methods, such as RVM.encode.
_WRAPPERS = re.compile(
    r'\w+\(.*\)|shard_map|while|body|cond|branch_\w+|checkpoint|remat\w*'
    r'|closed_call|pallas_call|custom_[jv]vp_call\w*|\w*\..*'
)
# Names of blocks: numbered ones, such as layers_3, or the class of the block,
# such as Block, if the blocks are one loop.
_BLOCK = re.compile(r'\w+_\d+|[A-Z]\w*')


class Part(NamedTuple):
  """What a part of the model costs one device in a step.

  Attributes:
    name: name of the part, such as 'encoder/attention'.
    hbm_bytes: bytes that it moves from and to the HBM.
    seconds: the compiler's estimate of its time, kernels included; 0 on GPUs.
  """

  name: str
  hbm_bytes: int
  seconds: float


def find_name(op_name: str) -> str:
  """Returns the name of the part that an instruction belongs to.

  Args:
    op_name: names of the functions that the instruction comes from, as in
      `hlo.Instruction.op_name`.
  """
  # A fusion may have several paths, of which the first counts. The last name of
  # a path is that of the operation.
  path = op_name.split(';')[0].split('/')[:-1]
  names = [name for name in path if not _WRAPPERS.fullmatch(name)]
  modules = [name for name in names if not _BLOCK.fullmatch(name)]
  if not modules:
    return OUTSIDE
  # The first module is the part of the model. The module inside of it is the
  # one that follows the innermost block, or the part if there are no blocks.
  blocks = [i for i, name in enumerate(names) if _BLOCK.fullmatch(name)]
  inside = names[blocks[-1] + 1 :] if blocks else modules[1:]
  return '/'.join((modules[0], *inside[:1]))


def sum_parts(
    found: Sequence[costs.Cost], kernel_cycles: Sequence[float], clock: float
) -> list[Part]:
  """Returns the parts, the costliest first.

  Args:
    found: costs of all instructions, as returned by `costs.count`.
    kernel_cycles: cycles of all runs of each kernel in `found`, in their order.
    clock: clock cycles a second.
  """
  sums: dict[str, tuple[int, float]] = {}
  cycles_left = list(kernel_cycles)
  for cost in found:
    if collectives.is_collective(cost):
      continue
    cycles = (
        cycles_left.pop(0)
        if cost.instruction.target == costs.KERNEL
        else cost.cycles
    )
    name = find_name(cost.op_name)
    old = sums.get(name, (0, 0.0))
    sums[name] = (old[0] + cost.num_bytes, old[1] + cycles / clock)
  listed = [Part(name, *values) for name, values in sums.items()]
  return sorted(listed, key=lambda x: (x.seconds, x.hbm_bytes), reverse=True)
