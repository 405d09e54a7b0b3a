"""Gradients in parts and on several devices equal the gradient of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.training import gradients
from rvm_jax.training import mesh as mesh_lib


def loss(params, rows):
  return jnp.square(rows @ params).mean()


@pytest.mark.parametrize('num_parts', [1, 2, 3, 6])
def test_accumulate_returns_the_means_over_the_parts(num_parts):
  rng = np.random.default_rng(0)
  params, rows = rng.normal(size=3), rng.normal(size=(6, 3))
  value_and_grad = jax.value_and_grad(loss)
  found = gradients.accumulate(value_and_grad, params, (rows,), num_parts)
  expected = np.square(rows @ params).mean(), 2 * (rows @ params) @ rows / 6
  for x, y in zip(found, expected, strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-5)


class Objective:
  """Uses one matrix often and in bfloat16, and a vector in float32."""

  def cast(self, params):
    return params | {'matrix': params['matrix'].astype(jnp.bfloat16)}

  def loss(self, params, rows):
    assert params['matrix'].shape == (64, 64), 'parameters must be whole'
    for _ in range(3):
      rows = jnp.tanh(rows @ params['matrix'].astype(jnp.float32))
    return jnp.square(rows + params['vector'][None]).mean()


def make_inputs():
  rng = np.random.default_rng(0)
  params = {
      'matrix': rng.normal(size=(64, 64), scale=0.1).astype(np.float32),
      'vector': rng.normal(size=64).astype(np.float32),
  }
  return params, rng.normal(size=(8, 64)).astype(np.float32)


def compile_gradient(fsdp, dtype, num_parts=1):
  mesh = mesh_lib.make_mesh(fsdp)
  params, rows = make_inputs()
  shardings = mesh_lib.state_shardings(params, mesh)
  gradient = gradients.make(
      Objective(), mesh, shardings, num_parts=num_parts, dtype=dtype
  )
  return jax.jit(
      gradient, in_shardings=(shardings, mesh_lib.batch_sharding(mesh))
  ).lower(params, (rows,))


@pytest.mark.parametrize('num_parts', [1, 2])
@pytest.mark.parametrize('fsdp', [1, 2])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_gradient_on_two_devices_is_that_of_the_whole_batch(
    fsdp, dtype, num_parts
):
  params, rows = make_inputs()
  objective = Objective()
  found = compile_gradient(fsdp, dtype, num_parts).compile()(params, (rows,))
  expected = jax.value_and_grad(
      lambda params: objective.loss(objective.cast(params), rows)
  )(params)
  np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
  for key, x in found[1].items():
    assert x.dtype == jnp.float32
    assert x.sharding.is_fully_replicated == (fsdp == 1 or key == 'vector')
    scale = float(jnp.abs(expected[1][key]).max())
    np.testing.assert_allclose(x, expected[1][key], atol=0.01 * scale)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_each_gradient_is_reduced_once_in_its_dtype(dtype):
  name = {'float32': 'f32', 'bfloat16': 'bf16'}[dtype]
  whole = compile_gradient(1, dtype).as_text().splitlines()
  reductions = [line for line in whole if 'all_reduce' in line]
  # Those of the loss, the matrix and the vector.
  assert len(reductions) == 3
  split = compile_gradient(2, dtype).as_text()
  assert split.count('reduce_scatter') == split.count('all_gather"') == 1
  assert f'tensor<64x64x{name}>' in split.split('reduce_scatter')[1]
  assert 'tensor<64x64xbf16>' in split.split('all_gather"')[1]


def list_collectives(dtype):
  """Returns the collectives of a gradient on 2 x 2 devices: op, axes, input."""
  mesh = jax.sharding.AbstractMesh((2, 2), mesh_lib.BATCH_AXES)
  params, rows = make_inputs()
  shardings = mesh_lib.state_shardings(params, mesh)
  gradient = gradients.make(
      Objective(), mesh, shardings, num_parts=1, dtype=dtype
  )
  (mapped,) = jax.make_jaxpr(gradient)(params, (rows,)).eqns
  found = []
  for equation in mapped.params['jaxpr'].eqns:
    axes = equation.params.get('axes') or equation.params.get('axis_name')
    # Other operations number axes of their arrays.
    if axes and isinstance(axes[0], str):
      name, aval = equation.primitive.name, equation.invars[0].aval
      found.append((name, axes, aval.shape, aval.dtype.name))
  return found


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_gradients_are_reduced_over_both_axes_of_the_mesh(dtype):
  both = mesh_lib.BATCH_AXES
  assert sorted(list_collectives(dtype)) == [
      # Parameters are cast before they are gathered.
      ('all_gather', ('fsdp',), (32, 64), 'bfloat16'),
      ('psum', ('data',), (32, 64), dtype),
      ('psum', both, (), 'float32'),
      ('psum', both, (64,), dtype),
      ('reduce_scatter', ('fsdp',), (64, 64), dtype),
  ]


def test_accumulate_adds_gradients_in_float32():
  # A sum in bfloat16 would stop at 256.
  params = jnp.zeros((), jnp.bfloat16)

  def mean(params, rows):
    return (params.astype(jnp.float32) * rows).mean()

  _, found = gradients.accumulate(
      jax.value_and_grad(mean), params, (jnp.ones(1024),), 1024
  )
  assert found.dtype == jnp.float32 and found == 1
