"""Fingerprints tell parameters apart; comparisons list every difference."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.weights import trees


@pytest.fixture
def tree():
  kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
  return {'b': {'kernel': kernel}, 'a': np.ones(2, np.float32)}


def test_unflatten_inverts_flatten():
  tree = {'a': {'b': 1, 'c': {'d': 2}}, 'e': 3}
  assert trees.flatten(tree) == {'a/b': 1, 'a/c/d': 2, 'e': 3}
  assert trees.unflatten(trees.flatten(tree)) == tree


def test_fingerprint_is_the_start_of_a_sha256(tree):
  text = b'a float32[2]\n' + tree['a'].tobytes()
  text += b'b/kernel float32[2, 3]\n' + tree['b']['kernel'].tobytes()
  expected = hashlib.sha256(text).hexdigest()[:16]
  assert trees.fingerprint(tree) == expected


def test_fingerprint_ignores_order_and_place(tree):
  expected = trees.fingerprint(tree)
  assert trees.fingerprint(dict(reversed(tree.items()))) == expected
  assert trees.fingerprint(jax.tree.map(np.asfortranarray, tree)) == expected
  assert trees.fingerprint(jax.tree.map(jnp.asarray, tree)) == expected


def test_fingerprint_tells_names_shapes_dtypes_and_bits_apart(tree):
  kernel = tree['b']['kernel']
  others = [
      {'b': {'weight': kernel}, 'a': tree['a']},
      {'b': {'kernel': kernel.reshape(3, 2)}, 'a': tree['a']},
      {'b': {'kernel': kernel.view(np.int32)}, 'a': tree['a']},
      {'b': {'kernel': np.nextafter(kernel, 9)}, 'a': tree['a']},
  ]
  found = {trees.fingerprint(other) for other in (tree, *others)}
  assert len(found) == 5


def test_check_match_accepts_equal_shapes_and_dtypes(tree):
  flat = trees.flatten(tree)
  shapes = {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in flat.items()}
  trees.check_match('x', flat, shapes)


def test_check_match_lists_missing_unused_and_misshapen_keys(tree):
  found = {
      'b/kernel': np.zeros((3, 2), np.float32),
      'a': np.zeros(2, np.float16),
      'c': np.zeros(1),
  }
  expected = trees.flatten(tree) | {'d': np.zeros(1)}
  with pytest.raises(ValueError) as error:
    trees.check_match('params.npz', found, expected)
  assert str(error.value) == (
      'params.npz does not hold the expected arrays\n'
      '  1 missing:\n    d\n'
      '  1 unused:\n    c\n'
      '  2 misshapen:\n'
      '    a: expected float32[2], got float16[2]\n'
      '    b/kernel: expected float32[2, 3], got float32[3, 2]'
  )


def test_check_finite_names_the_first_arrays_and_counts():
  arrays = {k: np.ones((2, 3), np.float32) for k in 'abcdef'}
  trees.check_finite('x', arrays)
  for key in 'bcdf':
    arrays[key][0, 0] = np.nan
  arrays['b'][1, 1] = -np.inf
  with pytest.raises(ValueError) as error:
    trees.check_finite('x', arrays)
  assert str(error.value) == (
      'x has parameters that are not finite (number of elements): b (2 of 6),'
      ' c (1 of 6), d (1 of 6) and 1 more'
  )
