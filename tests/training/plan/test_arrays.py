"""The dtypes of HLO are those of JAX, and their sizes follow from the names."""

import jax.numpy as jnp
import pytest

from rvm_jax.training.plan import arrays


@pytest.mark.parametrize(
    'name, jax_name, num_bytes',
    [
        ('pred', 'bool', 24),
        ('s4', 'int4', 12),
        ('s16', 'int16', 48),
        ('u64', 'uint64', 192),
        ('bf16', 'bfloat16', 48),
        ('f32', 'float32', 96),
        ('f8e4m3fn', 'float8_e4m3fn', 24),
        ('f8e5m2fnuz', 'float8_e5m2fnuz', 24),
        ('f4e2m1fn', 'float4_e2m1fn', 12),
        ('c64', 'complex64', 192),
    ],
)
def test_dtypes_are_those_of_jax(name, jax_name, num_bytes):
  (found,) = arrays.parse(f'{name}[3,8]{{1,0}}')
  assert found.jax_dtype == jnp.dtype(jax_name).name
  assert found.dense_bytes == found.num_bytes == num_bytes


@pytest.mark.parametrize('name', ['f8e4', 'bf16x', 'opaque', 's'])
def test_unknown_dtypes_are_refused(name):
  with pytest.raises(ValueError, match=f'unknown dtype {name} in'):
    arrays.parse(f'{name}[3]')


def test_token_holds_no_data():
  (token,) = arrays.parse('token[]')
  assert token.num_elements == token.num_bytes == 0
