"""How attention finds its implementation, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import attention
from rvm_jax.ops.attention import choice
from tests.ops.attention import definition


def test_auto_is_xla_on_a_cpu_and_says_so(caplog):
  inputs = definition.sample(0, 5, 7, 3, 8, jnp.float32)[:3]
  choice.report.cache_clear()
  with caplog.at_level('INFO'):
    found = attention.attend(*inputs, 3, 'auto')
  assert 'attention of 5 queries to 7 keys, 3 heads of 8' in caplog.text
  np.testing.assert_array_equal(found, attention.attend(*inputs, 3, 'xla'))


@pytest.mark.parametrize(
    'name, dtype, message',
    [
        ('flash', 'float32', "one of auto, xla, cudnn, .* got 'flash'"),
        ('cudnn', 'bfloat16', "='cudnn' .* NVIDIA GPU, and .* cpu; use .*auto"),
        (
            'pallas_tpu',
            'bfloat16',
            "='pallas_tpu' .* TPU, and .* cpu; use .*au",
        ),
    ],
)
def test_attend_refuses_what_cannot_run(name, dtype, message):
  inputs = definition.sample(0, 5, 7, 3, 8, dtype)[:3]
  with pytest.raises(ValueError, match=message):
    attention.attend(*inputs, 3, name)


def mesh_of(platform, kind):
  """Returns a mesh of one device that is not there."""
  device = jax.sharding.AbstractDevice(
      device_kind=kind, num_cores=None, platform=platform
  )
  return jax.sharding.AbstractMesh(
      (1,),
      ('data',),
      (jax.sharding.AxisType.Explicit,),
      abstract_device=device,
  )


def test_cudnn_refuses_float32():
  inputs = definition.sample(0, 5, 7, 3, 8, jnp.float32)[:3]
  with jax.sharding.use_abstract_mesh(mesh_of('cuda', 'NVIDIA H100')):
    with pytest.raises(ValueError, match='cudnn.* bfloat16 .*not float32; use'):
      jax.eval_shape(lambda *x: attention.attend(*x, 3, 'cudnn'), *inputs)


@pytest.mark.parametrize('symbols', ['b, 257, 128', '2, n, 128'])
def test_auto_is_xla_where_sizes_are_symbolic(symbols):
  shape = jax.ShapeDtypeStruct(jax.export.symbolic_shape(symbols), 'bfloat16')

  def attend(*inputs):
    return attention.attend(*inputs, 2, 'auto')

  with jax.sharding.use_abstract_mesh(mesh_of('tpu', 'TPU v6 lite')):
    jaxpr = jax.make_jaxpr(attend)(shape, shape, shape)
  assert 'pallas_call' not in str(jaxpr) and 'dot_general' in str(jaxpr)
