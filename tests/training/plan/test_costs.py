"""Counts of a program that the compiler for TPUs made.

The program has a gather and a scatter of the weights w [3, 512, 512], a loop of
three layers over x [16384, 512] and the loop of its gradient, and a kernel of
Pallas, for v6e:2x2 with two devices along each axis of the mesh. Names of
functions and layouts of its text are trimmed.
"""

import pathlib

import pytest

from rvm_jax.training.plan import collectives
from rvm_jax.training.plan import costs
from rvm_jax.training.plan import hlo

TEXT = (pathlib.Path(__file__).parent / 'program_v6e_2x2.hlo').read_text()
WEIGHTS = 3 * 512 * 512
# Instructions for programs of a few lines.
COPY = (
    '%s = (f32[8,128]{1,0:T(8,128)S(1)}, f32[8,128]{1,0:T(8,128)}, u32[])'
    ' copy-start(%x)'
)
GEMM = (
    '%r = (f32[8,128], s8[4194304]) custom-call(%x),'
    ' custom_call_target="__cublas$gemm"'
)
SEND = (
    '(f32[64], u32[], token[]) send(%x, %t), frontend_attributes='
    '{_xla_megascale_transfer_type="ALL_REDUCE"}'
)


@pytest.fixture(scope='module')
def module():
  return hlo.parse(TEXT)


@pytest.fixture(scope='module')
def found(module):
  return costs.count(module)


def test_collectives_are_those_of_the_program(module, found):
  sums = collectives.sum_kinds(module, found)
  gathered = collectives.Collective(1, 1, WEIGHTS, 2 * WEIGHTS)
  assert sums['all-gather'] == gathered
  assert sums['reduce-scatter'] == gathered
  # The scattered half is reduced over the other axis, and so is the loss.
  half = WEIGHTS // 2
  assert sums['all-reduce'] == (2, 2, half + 1, 2 * half + 4)
  assert len(sums) == 3


def test_loops_count_as_often_as_they_go_round(found):
  assert {x.runs for x in found} == {1, 3}
  inside = [x for x in found if 'while/body' in x.op_name]
  assert inside and {x.runs for x in inside} == {3}


def test_cycles_are_those_in_the_text_times_rounds(found):
  for cost in found:
    assert cost.cycles == cost.instruction.estimated_cycles * cost.runs
  assert sum(x.cycles for x in found) > 0


def test_kernel_moves_its_operands_and_has_no_cycles(found):
  (kernel,) = costs.find_kernels(found)
  assert kernel.runs == 1 and kernel.cycles == 0
  # x is read from the HBM; the weights and the result are inside of the chip.
  assert kernel.num_bytes == 16384 * 512 * 2


def test_reserving_memory_moves_nothing(found):
  assert 'AllocateBuffer' in TEXT
  assert 'AllocateBuffer' not in {x.instruction.target for x in found}


def make(lines, *computations):
  """Returns the costs of an entry computation with some lines."""
  entry = 'ENTRY %main (x: f32[8,128]) -> f32[8,128] {\n' + '\n'.join(
      f'  {line}' for line in lines
  )
  return costs.count(hlo.parse('\n'.join((*computations, entry, '}'))))


def test_fusion_reads_of_a_sliced_operand_only_the_slice():
  fused = """%fused (p: f32[64,128], i: s32[]) -> f32[8,128] {
  %p = f32[64,128] parameter(0)
  %i = s32[] parameter(1)
  ROOT %s = f32[8,128] dynamic-slice(%p, %i, %i), dynamic_slice_sizes={8,128}
}"""
  (cost,) = make(
      [
          '%x = f32[64,128] parameter(0)',
          '%j = s32[] parameter(1)',
          'ROOT %f = f32[8,128] fusion(%x, %j), kind=kLoop, calls=%fused',
      ],
      fused,
  )
  slice_bytes = 8 * 128 * 4
  # The index of 4 bytes is read too.
  assert cost.num_bytes == 2 * slice_bytes + 4


def test_fusion_writes_of_an_updated_operand_only_the_slice():
  fused = """%fused (p: f32[64,128], u: f32[8,128], i: s32[]) -> f32[64,128] {
  %p = f32[64,128] parameter(0)
  %u = f32[8,128] parameter(1)
  %i = s32[] parameter(2)
  ROOT %s = f32[64,128] dynamic-update-slice(%p, %u, %i, %i)
}"""
  (cost,) = make(
      [
          '%x = f32[64,128] parameter(0)',
          '%y = f32[8,128] parameter(1)',
          '%j = s32[] parameter(2)',
          'ROOT %f = f32[64,128] fusion(%x, %y, %j), kind=kLoop, calls=%fused',
      ],
      fused,
  )
  assert cost.num_bytes == 2 * 8 * 128 * 4 + 4


def test_copy_into_the_chip_counts_only_what_leaves_the_hbm():
  (cost,) = make(
      [
          '%x = f32[8,128]{1,0:T(8,128)} parameter(0)',
          COPY,
          'ROOT %d = f32[8,128]{1,0:T(8,128)S(1)} copy-done(%s)',
      ]
  )
  assert cost.num_bytes == 8 * 128 * 4


def test_scratch_memory_of_a_library_is_not_written():
  (cost,) = make(
      [
          '%x = f32[8,128] parameter(0)',
          GEMM,
      ]
  )
  assert cost.num_bytes == 2 * 8 * 128 * 4


@pytest.mark.parametrize(
    'line, kind, elements',
    [
        ('f32[64] all-reduce(%x)', 'all-reduce', 64),
        ('f32[64] all-reduce-start(%x)', 'all-reduce', 64),
        ('f32[256] all-gather(%x)', 'all-gather', 256),
        ('(f32[64], f32[256]) all-gather-start(%x)', 'all-gather', 256),
        ('f32[16] reduce-scatter(%x)', 'reduce-scatter', 64),
        (SEND, 'between slices', 64),
    ],
)
def test_collective_counts_the_whole_array(line, kind, elements):
  text = (
      'ENTRY %main (x: f32[64]) -> f32[64] {\n  %x = f32[64] parameter(0)\n'
      f'  %t = token[] after-all()\n  %y = {line}\n}}'
  )
  module = hlo.parse(text)
  sums = collectives.sum_kinds(module, costs.count(module))
  assert sums == {kind: (1, 1, elements, 4 * elements)}


def test_collective_in_a_fusion_is_found():
  module = hlo.parse("""%fused (p: f32[64]) -> f32[64] {
  %p = f32[64] parameter(0)
  ROOT %r = f32[64] all-reduce(%p)
}
ENTRY %main (x: f32[64]) -> f32[64] {
  %x = f32[64] parameter(0)
  ROOT %f = f32[64] fusion(%x), kind=kCustom, calls=%fused
}""")
  sums = collectives.sum_kinds(module, costs.count(module))
  assert sums == {'all-reduce': (1, 1, 64, 256)}


INNER = """%inner (p: f32[8,128]) -> f32[8,128] {
  %p = f32[8,128] parameter(0)
  ROOT %r = f32[8,128] all-reduce(%p)
}"""
OUTER = """%outer (q: f32[8,128]) -> f32[8,128] {
  %q = f32[8,128] parameter(0)
  %n = f32[8,128] negate(%q)
  ROOT %w = f32[8,128] while(%n), condition=%c, body=%inner, KNOWN
}""".replace('KNOWN', 'backend_config={"known_trip_count":{"n":"5"}}')


def test_loop_in_a_loop_counts_as_often_as_both_go_round():
  entry = """ENTRY %main (x: f32[8,128]) -> f32[8,128] {
  %x = f32[8,128] parameter(0)
  ROOT %y = f32[8,128] while(%x), condition=%c, body=%outer, KNOWN
}""".replace(
      'KNOWN',
      'metadata={op_name="f/while"},'
      ' backend_config={"known_trip_count":{"n":"3"}}',
  )
  module = hlo.parse('\n'.join((INNER, OUTER, entry)))
  negate, reduce = costs.count(module)
  assert (negate.runs, reduce.runs) == (3, 15)
  size = 8 * 128 * 4
  assert (negate.num_bytes, reduce.num_bytes) == (3 * 2 * size, 15 * 2 * size)
  # Instructions without a name have that of the loop.
  assert negate.op_name == reduce.op_name == 'f/while'
  sums = collectives.sum_kinds(module, [negate, reduce])
  assert sums == {'all-reduce': (1, 15, 15 * 8 * 128, 15 * size)}


def test_call_costs_what_the_called_computation_does():
  called = INNER.replace('all-reduce', 'negate')
  (cost,) = make(
      [
          '%x = f32[8,128] parameter(0)',
          'ROOT %y = f32[8,128] call(%x), to_apply=%inner',
      ],
      called,
  )
  assert cost.instruction.op == 'negate'


@pytest.mark.parametrize(
    'line, num_bytes',
    [
        ('f32[8,128] dynamic-slice(%x, %j, %j)', 2 * 4096),
        ('f32[8,128] slice(%x), slice={[0:8], [0:128]}', 2 * 4096),
        ('f32[64,128] dynamic-update-slice(%x, %u, %j, %j)', 2 * 4096),
        # The array that is sent is read. The result only names the buffer, and
        # nothing is written.
        ('(f32[64,128], u32[], token[]) send(%x, %t)', 8 * 4096),
    ],
)
def test_slices_move_only_their_part_of_an_array(line, num_bytes):
  (cost,) = make(
      [
          '%x = f32[64,128] parameter(0)',
          '%u = f32[8,128] parameter(1)',
          '%j = s32[] parameter(2)',
          '%t = token[] after-all()',
          f'ROOT %y = {line}',
      ]
  )
  assert cost.num_bytes == num_bytes


def test_fusion_in_a_fusion_reads_of_a_sliced_operand_only_the_slice():
  inner = """%inner (p: f32[64,128], i: s32[]) -> f32[8,128] {
  %p = f32[64,128] parameter(0)
  %i = s32[] parameter(1)
  ROOT %s = f32[8,128] dynamic-slice(%p, %i, %i), dynamic_slice_sizes={8,128}
}"""
  outer = """%outer (q: f32[64,128], k: s32[]) -> f32[8,128] {
  %q = f32[64,128] parameter(0)
  %k = s32[] parameter(1)
  ROOT %g = f32[8,128] fusion(%q, %k), kind=kLoop, calls=%inner
}"""
  (cost,) = make(
      [
          '%x = f32[64,128] parameter(0)',
          '%j = s32[] parameter(1)',
          'ROOT %f = f32[8,128] fusion(%x, %j), kind=kLoop, calls=%outer',
      ],
      inner,
      outer,
  )
  assert cost.num_bytes == 2 * 4096 + 4


def test_what_is_sent_to_the_host_is_no_collective():
  found = make(
      [
          '%x = f32[64] parameter(0)',
          '%t = token[] after-all()',
          '%s = (f32[64], u32[], token[]) send(%x, %t), is_host_transfer=true',
      ]
  )
  assert collectives.sum_kinds(hlo.parse(TEXT), found) == {}
