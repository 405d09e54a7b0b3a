"""The fused kernels, compiled for accelerators that need not be there."""

import importlib.util

import jax
import pytest

from rvm_jax.models import stacks
from rvm_jax.ops import attention

# For each kind of slice, the module of its compiler and what installs it.
COMPILERS = {
    'v6e:2x2': ('libtpu', 'jax[tpu]'),
    'v5e:2x2': ('libtpu', 'jax[tpu]'),
    'v5p:2x2x1': ('libtpu', 'jax[tpu]'),
    'h100:1': ('jax_cuda12_plugin', 'jax[cuda12]'),
}
TPUS = [name for name, (module, _) in COMPILERS.items() if module == 'libtpu']


def compile_training(
    topology, implementation, *sizes, dtype='bfloat16', policy=None
):
  """Compiles attention and its gradients, and returns the program as text.

  Args:
    topology: key of `COMPILERS`.
    implementation: name of the implementation.
    *sizes: numbers of queries, keys and heads, and the width of a head.
    dtype: dtype of queries, keys and values.
    policy: policy of rematerialisation; None recomputes nothing.
  """
  module, package = COMPILERS[topology]
  if importlib.util.find_spec(module) is None:
    pytest.skip(f'compiling for {topology} needs pip install {package}')
  from rvm_jax.training.plan import topologies

  devices = topologies.devices(topologies.find(topology))[:1]
  mesh = jax.sharding.Mesh(devices, ('data',))
  num_queries, num_keys, num_heads, head_width = sizes
  whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  query, key = (
      jax.ShapeDtypeStruct(
          (2, size, num_heads * head_width), dtype, sharding=whole
      )
      for size in (num_queries, num_keys)
  )

  def train(query, key, value, gradient):
    def attend(*inputs):
      return attention.attend(*inputs, num_heads, implementation)

    if policy:
      attend = jax.checkpoint(attend, policy=policy)
    out, pull_back = jax.vjp(attend, query, key, value)
    return out, *pull_back(gradient)

  platform = devices[0].platform
  with jax.set_mesh(mesh):
    traced = jax.jit(train).trace(query, key, key, query)
    lowered = traced.lower(
        lowering_platforms=('tpu' if platform == 'tpu' else 'cuda',)
    )
  options = {} if platform == 'tpu' else {'xla_gpu_autotune_level': '0'}
  return lowered.compile(compiler_options=options).as_text()


@pytest.mark.parametrize('topology', TPUS)
@pytest.mark.parametrize(
    'sizes',
    [
        (257, 257, 6, 64),
        (257, 257, 8, 48),
        (1028, 1028, 4, 32),
        (65, 257, 8, 80),
        (1, 1, 2, 64),
    ],
)
def test_kernels_compile_for_tpus(topology, sizes):
  text = compile_training(topology, 'pallas_tpu', *sizes)
  assert text.count('custom_call_target="tpu_custom_call"') == 2


def test_kernels_compile_for_a_tpu_in_float32():
  text = compile_training(
      'v5e:2x2', 'pallas_tpu', 257, 257, 4, 32, dtype='float32'
  )
  assert text.count('custom_call_target="tpu_custom_call"') == 2


def test_auto_takes_the_device_that_is_compiled_for():
  assert 'tpu_custom_call' in compile_training('v6e:2x2', 'auto', 257, 9, 2, 64)
  assert 'tpu_custom_call' not in compile_training(
      'v6e:2x2', 'auto', 13, 9, 2, 64
  )


@pytest.mark.parametrize('name', ['cudnn', 'auto'])
def test_cudnn_trains_odd_lengths(name):
  text = compile_training('h100:1', name, 257, 1027, 6, 64)
  assert text.count('__cudnn$fmhaSoftmax"') == 1
  assert text.count('__cudnn$fmhaSoftmaxBackward"') == 1


@pytest.mark.parametrize('remat, count', [('attention', 1), ('full', 2)])
def test_results_of_cudnn_are_computed_again_unless_they_are_kept(remat, count):
  policy = stacks.REMAT_POLICIES[remat]
  text = compile_training('h100:1', 'cudnn', 257, 257, 6, 64, policy=policy)
  assert text.count('__cudnn$fmhaSoftmax"') == count
  assert text.count('__cudnn$fmhaSoftmaxBackward"') == 1
