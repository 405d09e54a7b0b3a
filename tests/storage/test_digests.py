"""Digests do not depend on where an array lies, and change with every bit."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from rvm_jax.storage import digests

DTYPES = ('float32', 'bfloat16', 'float16', 'int32', 'uint32', 'int8', 'bool')


def make(dtype, shape=(6, 10)):
  """Returns an array with random bits."""
  bits = np.random.default_rng(0).integers(0, 2**32, shape, dtype=np.uint32)
  dtype = jnp.dtype(dtype)
  if dtype == 'bool':
    return bits % 2 == 0
  narrow = bits.astype(f'uint{8 * dtype.itemsize}')
  return narrow.view(dtype)


def on_devices(array, *spec):
  """Puts an array on two devices, split as `spec` says."""
  mesh = jax.make_mesh((2,), ('fsdp',))
  return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))


def test_digests_are_those_of_earlier_versions():
  # Checkpoints of earlier versions must not look damaged.
  for array, text in (
      (
          np.arange(6, dtype=np.float32).reshape(2, 3),
          'float32[2, 3] efa3337772358d9f',
      ),
      (np.array(7, np.int32), 'int32[] df628589c696634e'),
      (np.zeros((0, 4), np.float32), 'float32[0, 4] 60e8a316c62d4480'),
  ):
    assert digests.of_array(array).text == text


@pytest.mark.parametrize('dtype', DTYPES)
def test_digest_is_the_same_on_the_host_and_on_devices_however_split(dtype):
  array = make(dtype)
  expected = digests.of_array(array)
  assert expected.text.startswith(f'{dtype}[6, 10] ')
  tree = {
      'one': jnp.asarray(array),
      'rows': on_devices(array, 'fsdp'),
      'columns': on_devices(array, None, 'fsdp'),
      'copies': on_devices(array),
  }
  found = digests.start(tree).result()
  assert found == dict.fromkeys(sorted(tree), expected)


def test_digest_of_eight_byte_numbers_of_the_host():
  array = np.arange(5.0)
  changed = np.nextafter(array, 9)
  assert digests.of_array(array).text.startswith('float64[5] ')
  assert digests.of_array(array).text != digests.of_array(changed).text


def test_digest_of_scalars_empty_arrays_and_random_keys():
  key = jax.random.key(3)
  tree = {
      'params': [jnp.zeros(()), jnp.zeros((0, 4))],
      'rng': key,
  }
  assert digests.start(tree).result() == {
      'params/0': digests.of_array(np.zeros((), np.float32)),
      'params/1': digests.of_array(np.zeros((0, 4), np.float32)),
      'rng': digests.of_array(np.asarray(jax.random.key_data(key))),
  }


def test_digest_of_parts_is_that_of_the_whole(monkeypatch):
  array = make('float32', (50, 7))
  expected = digests.of_array(array)
  monkeypatch.setattr(digests, '_PART', 13)
  assert digests.of_array(array) == expected


def test_any_flipped_bit_and_any_swap_change_the_digest():
  array = make('uint32', (40,))
  seen = {digests.of_array(array).text}
  for place in range(array.size):
    for bit in range(32):
      flipped = array.copy()
      flipped[place] ^= np.uint32(1 << bit)
      seen.add(digests.of_array(flipped).text)
  for a in range(array.size):
    for b in range(a):
      swapped = array.copy()
      swapped[[a, b]] = array[[b, a]]
      seen.add(digests.of_array(swapped).text)
  assert len(seen) == 1 + 40 * 32 + 40 * 39 // 2


def test_sign_changes_of_two_elements_change_the_digest():
  # Sums of bits times odd numbers would stay the same.
  array = np.ones(30, np.float32)
  seen = set()
  for a in range(30):
    for b in range(a + 1):
      changed = array.copy()
      changed[[a, b]] = -1
      seen.add(digests.of_array(changed).text)
  assert len(seen) == 30 * 31 // 2


def test_shape_and_dtype_are_part_of_the_digest():
  zeros = [
      np.zeros(6, np.float32),
      np.zeros((2, 3), np.float32),
      np.zeros((3, 2), np.float32),
      np.zeros(6, np.int32),
      np.zeros(7, np.float32),
  ]
  texts = [digests.of_array(x).text.split('] ')[1] for x in zeros]
  assert len(set(texts)) == len(zeros)


def test_elements_that_are_not_finite_are_counted():
  array = np.array([1, np.nan, np.inf, -np.inf, 0], np.float32)
  assert digests.of_array(array).non_finite == 3
  assert digests.start([jnp.asarray(array)]).result()['0'].non_finite == 3
  whole = jnp.arange(3)
  assert digests.start([whole]).result()['0'].non_finite == 0


def test_arrays_may_be_donated_before_the_digest_is_read():
  array = make('float32', (300, 200))
  on_device = jnp.array(array)
  pending = digests.start({'x': on_device})
  add = jax.jit(lambda x: x + 1, donate_argnums=0)
  jax.block_until_ready(add(on_device))
  assert pending.result()['x'].text == digests.of_array(array).text
