"""Renaming of parameters: strict, and dropped arrays are named in the log."""

from absl import logging
import jax
import numpy as np
import pytest

from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming

TABLE = renaming.Table(
    renames={
        r'layer\.(\d+)\.dense': r'blocks_\1/dense',
        r'layer\.(\d+)\.norm': r'blocks_\1/norm',
        r'qk\.weight': ('query/kernel', None),
        r'conv': 'conv',
        r'token': 'token',
    },
    dropped={r'decoder\..*': 'used in training only'},
)


def open_arrays(arrays):
  specs = {
      key: reading.Spec(x.shape, x.dtype.name) for key, x in arrays.items()
  }
  return reading.Arrays('file', specs, arrays.__getitem__)


def sample(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def expect(**shapes):
  return {
      key: jax.ShapeDtypeStruct(shape, np.float32)
      for key, shape in shapes.items()
  }


def test_params_are_renamed_split_and_transposed(monkeypatch):
  messages = []
  monkeypatch.setattr(
      logging, 'info', lambda text, *args: messages.append(text % args)
  )
  arrays = {
      'layer.0.dense.weight': sample(2, 3),
      'layer.0.dense.bias': sample(2),
      'layer.0.norm.weight': sample(2),
      'qk.weight': sample(4, 3),
      'conv.weight': sample(5, 3, 2, 4, 6),
      'token': sample(1, 2),
      'decoder.weight': sample(2, 3),
  }
  params = renaming.read_params(
      open_arrays(arrays),
      TABLE,
      {
          'blocks_0': {
              'dense': expect(kernel=(3, 2), bias=(2,)),
              'norm': expect(scale=(2,)),
          },
          'query': expect(kernel=(3, 2)),
          'conv': expect(kernel=(2, 4, 6, 3, 5)),
          **expect(token=(1, 2)),
      },
  )
  block = params['blocks_0']
  np.testing.assert_array_equal(
      block['dense']['kernel'], arrays['layer.0.dense.weight'].T
  )
  np.testing.assert_array_equal(
      params['query']['kernel'], arrays['qk.weight'][:2].T
  )
  np.testing.assert_array_equal(
      params['conv']['kernel'][1, 2, 3, 0, 4],
      arrays['conv.weight'][4, 0, 1, 2, 3],
  )
  assert messages == [
      'file: dropped 1 arrays, used in training only: decoder.weight'
  ]


def test_missing_unused_and_misshapen_arrays_are_all_listed():
  arrays = {'token': sample(1, 3), 'head.weight': sample(2, 2), 'x': sample(1)}
  with pytest.raises(ValueError) as error:
    renaming.read_params(
        open_arrays(arrays), TABLE, expect(token=(1, 2), other=(3,))
    )
  text = str(error.value)
  assert '1 missing:\n    other' in text
  assert '2 unused:\n    head.weight\n    x' in text
  assert 'token: expected float32[1, 2], got float32[1, 3]' in text


def test_an_array_that_does_not_divide_is_misshapen():
  with pytest.raises(ValueError, match=r'query/kernel: expected float32\[3, 2'):
    renaming.read_params(
        open_arrays({'qk.weight': sample(5, 3)}),
        TABLE,
        {'query': expect(kernel=(3, 2))},
    )


def test_two_arrays_for_one_parameter_are_refused():
  table = TABLE._replace(renames={'a|b': 'token'})
  arrays = open_arrays({'a': sample(1), 'b': sample(1)})
  with pytest.raises(ValueError, match='has token twice: a and b'):
    renaming.read_params(arrays, table, expect(token=(1,)))


def test_parameters_that_are_not_finite_are_refused():
  arrays = open_arrays({'token': np.full((1, 2), np.nan, np.float32)})
  with pytest.raises(ValueError, match=r'not finite .*token \(2 of 2\)'):
    renaming.read_params(arrays, TABLE, expect(token=(1, 2)))
