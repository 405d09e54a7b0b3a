"""Compiled programs are parsed, and their arrays and loops are measured."""

import pytest

from rvm_jax.training.plan import arrays
from rvm_jax.training.plan import hlo

TEXT = """HloModule jit_f, is_scheduled=true

%cond (p: (s32[], f32[8,128])) -> pred[] {
  %p.1 = (s32[]{:T(128)}, f32[8,128]{1,0:T(8,128)}) parameter(0)
  %limit = s32[]{:T(128)} constant(6)
  %i = s32[]{:T(128)} get-tuple-element(%p.1), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %limit), direction=LT
}

%body (p: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %p.2 = (s32[]{:T(128)}, /*index=1*/f32[8,128]{1,0:T(8,128)}) parameter(0)
  ROOT %t = (s32[], f32[8,128]{1,0:T(8,128)}) tuple(%p.2, %p.2)
}

ENTRY %main (x: f32[8,128]) -> f32[8,128] {
  %x = f32[8,128]{1,0:T(8,128)} parameter(0), metadata={op_name="x"}
  %loop = (s32[], f32[8,128]{1,0}) while(%x), condition=%cond, body=%body
  ROOT %call.1 = f32[8,128]{1,0:T(8,128)S(1)} custom-call(%loop, %x), ATTRIBUTES
}
""".replace(
    'ATTRIBUTES',
    'custom_call_target="f", metadata={op_name="jit(f)/g/mul"},'
    ' backend_config={"window_config":{"estimated_cycles":"123"}}',
)


def test_parse_returns_computations_in_order():
  module = hlo.parse(TEXT)
  assert module.entry == 'main'
  assert list(module.computations) == ['cond', 'body', 'main']
  assert [x.op for x in module.computations['main']] == [
      'parameter',
      'while',
      'custom-call',
  ]


def test_parse_reads_the_parts_of_an_instruction():
  call = hlo.parse(TEXT).computations['main'][-1]
  assert call.name == 'call.1'
  assert call.operands == ('loop', 'x')
  assert call.target == 'f'
  assert call.op_name == 'jit(f)/g/mul'
  assert call.estimated_cycles == 123
  assert [x.space for x in call.result] == [1]


def test_parse_reads_tuples_with_comments():
  module = hlo.parse(TEXT)
  parameter = module.computations['body'][0]
  assert [x.shape for x in parameter.result] == [(), (8, 128)]
  assert parameter.argument == '0'


def test_called_finds_computations_by_kind():
  loop = hlo.parse(TEXT).computations['main'][1]
  assert loop.called('body') == ['body']
  assert loop.called() == ['cond', 'body']


def test_trip_count_is_the_limit_of_the_condition():
  module = hlo.parse(TEXT)
  assert module.trip_count(module.computations['main'][1]) == 6


def test_trip_count_is_the_largest_constant_of_the_condition():
  module = hlo.parse(
      TEXT.replace('  %i = ', '  %z = s32[] constant(1)\n  %i = ')
  )
  assert module.trip_count(module.computations['main'][1]) == 6


def test_trip_count_that_the_compiler_says_goes_first():
  known = 'body=%body, backend_config={"known_trip_count":{"n":"9"}}'
  module = hlo.parse(TEXT.replace('body=%body', known))
  assert module.trip_count(module.computations['main'][1]) == 9


def test_loop_of_unknown_length_is_refused():
  module = hlo.parse(TEXT.replace('constant(6)', 'parameter(1)'))
  with pytest.raises(ValueError) as caught:
    module.trip_count(module.computations['main'][1])
  assert 'loop' in str(caught.value)


def test_text_without_entry_is_refused():
  with pytest.raises(ValueError) as caught:
    hlo.parse('def f(x): pass')
  assert 'ENTRY' in str(caught.value)


@pytest.mark.parametrize(
    'text, num_bytes',
    [
        # 257 rows are padded to 264, and 384 lanes need no padding.
        ('bf16[8,257,384]{2,1,0:T(8,128)(2,1)}', 8 * 264 * 384 * 2),
        # Heads of width 32 are padded to 128 lanes.
        ('f32[257,16,32]{2,1,0:T(8,128)}', 257 * 16 * 128 * 4),
        # The order in memory says which axes are padded: here rows are lanes.
        ('f32[200,32]{0,1:T(8,128)}', 256 * 32 * 4),
        ('f32[100]{0:T(128)}', 128 * 4),
        ('f32[8,257]', 8 * 257 * 4),
        ('pred[]', 1),
        ('token[]', 0),
    ],
)
def test_array_size_is_padded_as_it_lies_in_memory(text, num_bytes):
  (array,) = arrays.parse(text)
  assert array.num_bytes == num_bytes
  assert array.hbm_bytes == num_bytes


def test_array_inside_of_the_chip_takes_no_hbm():
  (array,) = arrays.parse('f32[8,128]{1,0:T(8,128)S(1)}')
  assert (array.hbm_bytes, array.num_bytes) == (0, 4096)


def test_unknown_dtype_is_refused():
  with pytest.raises(ValueError) as caught:
    arrays.parse('q7[8]')
  assert 'q7' in str(caught.value)
