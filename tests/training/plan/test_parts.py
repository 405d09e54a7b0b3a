"""How instructions are named after parts of the model, and summed by part."""

import pathlib

import pytest

from rvm_jax.training.plan import costs
from rvm_jax.training.plan import hlo
from rvm_jax.training.plan import parts

PROGRAM = pathlib.Path(__file__).parent / 'program_v6e_2x2.hlo'
STEP = 'jit(train_step)/shard_map/jvp(RVM)'
CORE = f'{STEP}/RVM.encode/rnn_core/closed_call/rnn_core._step/transformer'
CROSS = f'{CORE}/while/body/checkpoint/rematted_computation/CrossBlock'


@pytest.mark.parametrize(
    'op_name, name',
    [
        (f'{STEP}/encoder/layers_3/attention/query/dot', 'encoder/attention'),
        (f'{STEP}/encoder/while/body/Block/mlp/dense_in/dot', 'encoder/mlp'),
        (f'{CROSS}/ca_attention/backward/dot', 'rnn_core/ca_attention'),
        (f'{CORE}/output_norm/mul', 'rnn_core/transformer'),
        (f'{STEP}/decoder/stack', 'decoder'),
        (f'{STEP}/detokenizer/Dense_0/dot', 'detokenizer'),
        (f'{STEP}/jit(take_along_axis)/gather', parts.OUTSIDE),
        ('jit(train_step)/mul;decoder/mul', parts.OUTSIDE),
        ('', parts.OUTSIDE),
    ],
)
def test_name_is_that_of_part_and_module(op_name, name):
  assert parts.find_name(op_name) == name


def test_sums_leave_out_collectives_and_nothing_else():
  found = costs.count(hlo.parse(PROGRAM.read_text()))
  (listed,) = {tuple(parts.sum_parts(found, [7.0], 2.0))}
  computing = [
      x
      for x in found
      if x.instruction.op not in ('all-gather', 'reduce-scatter', 'all-reduce')
  ]
  assert sum(x.hbm_bytes for x in listed) == sum(x.num_bytes for x in computing)
  cycles = sum(x.cycles for x in computing) + 7
  assert sum(x.seconds for x in listed) == pytest.approx(cycles / 2)


def test_kernels_have_their_own_cycles_and_the_costliest_part_is_first():
  lines = [
      f'  %{name} = f32[8] custom-call(%x), custom_call_target='
      f'"tpu_custom_call", metadata={{op_name="f/{name}/call"}}'
      for name in ('encoder', 'decoder', 'core')
  ]
  module = hlo.parse(
      'ENTRY %main (x: f32[8]) -> f32[8] {\n  %x = f32[8] parameter(0)\n'
      + '\n'.join(lines)
      + '\n}'
  )
  listed = parts.sum_parts(costs.count(module), [3.0, 9.0, 6.0], 3.0)
  assert [(x.name, x.seconds) for x in listed] == [
      ('f/decoder', 3.0),
      ('f/core', 2.0),
      ('f/encoder', 1.0),
  ]
