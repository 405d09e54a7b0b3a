"""The cycles of Pallas kernels are counted by compiling them alone."""

import io
import json
import pathlib
import re
import subprocess
import types

import jax
import pytest

from rvm_jax.ops.attention import pallas_tpu
from rvm_jax.training.plan import costs
from rvm_jax.training.plan import hlo
from rvm_jax.training.plan import kernels
from rvm_jax.training.plan import topologies

END = 'final_hlo-static-per-bundle-utilization.txt'


def write_bundles(folder, name, count):
  text = 'head\n== UTILIZATION:\n' + 'bundle\n' * count
  pathlib.Path(folder, f'17956-{name}-{END}').write_text(text)


def test_bundles_of_copies_and_of_added_programs_are_left_out(tmp_path):
  for name, count in (
      ('ffi_call.1-70', 3),
      ('copy-64', 50),
      ('copy.3-65', 60),
      ('TLP-71', 70),
      ('<late-finalization>-66', 80),
  ):
    write_bundles(tmp_path, name, count)
  assert kernels.count_bundles(tmp_path) == 3


@pytest.fixture(scope='module')
def body():
  """The kernel of attention as a program has it: 3 sequences, 2 groups."""
  assert pallas_tpu.group_width(1024, 32, 16) == 512
  x = jax.ShapeDtypeStruct((3, 16, 1024), 'bfloat16')
  traced = jax.jit(lambda x: pallas_tpu.attend(x, x, x, 32)).trace(x)
  text = traced.lower(lowering_platforms=('tpu',)).as_text()
  return re.search(r'body\\22: \\22([\w+/=]+)', text).group(1)


def test_steps_are_those_of_the_grid(body):
  assert kernels.count_steps(body) == 3 * 2


def test_kernel_alone_takes_its_bundles_in_each_step(
    body, tmp_path, monkeypatch, capsys
):
  def compile_alone(kernel, device):
    write_bundles(tmp_path, 'ffi_call-7', kernel['bundles'])

  monkeypatch.setattr(topologies, 'devices', lambda _: [None])
  monkeypatch.setattr(kernels, '_compile', compile_alone)
  lines = [
      json.dumps({'config': {'body': body}, 'bundles': x}) for x in (5, 20)
  ]
  monkeypatch.setattr('sys.stdin', io.StringIO('\n'.join(lines)))
  kernels.main('v6e', tmp_path)
  assert capsys.readouterr().out.split() == ['30', '120']


def make_kernel(size, dtype='f32'):
  """Returns the cost of a kernel whose operand has `size` elements."""
  (cost,) = costs.count(
      hlo.parse(
          'ENTRY %main (x: f32[8]) -> f32[8] {\n'
          f'  %x = {dtype}[{size}] parameter(0)\n'
          f'  ROOT %y = f32[{size}] custom-call(%x),'
          ' custom_call_target="tpu_custom_call"\n}'
      )
  )
  return cost


def test_kernel_of_any_dtype_is_described():
  described = json.loads(kernels._describe(make_kernel(8, 'f8e4m3fn')))
  assert described['operands'] == [['float8_e4m3fn', [8]]]
  assert described['results'] == [['float32', [8]]]


def test_estimate_asks_once_for_equal_kernels_and_keeps_their_order(
    monkeypatch,
):
  def run(command, **settings):
    lines = settings['input'].split('\n')
    sizes = [json.loads(line)['operands'][0][1][0] for line in lines]
    assert sorted(sizes) == [8, 16]
    answers = [json.dumps(x if x > 8 else None) for x in sizes]
    return types.SimpleNamespace(stdout='\n'.join(['said', *answers]))

  monkeypatch.setattr(subprocess, 'run', run)
  found = [make_kernel(size) for size in (16, 8, 16)]
  topology = topologies.find('v6e:2x2')
  assert kernels.estimate(found, topology) == [16, None, 16]
  assert kernels.estimate([], topology) == []
