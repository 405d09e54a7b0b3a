"""The parser agrees with that of tensorflow-datasets, and copies nothing."""

import numpy as np
import pytest

from rvm_jax.data.shards import examples
from rvm_jax.data.shards import schema
from tests.data.shards import clips


def test_values_are_those_of_tensorflow_datasets():
  values = clips.example(clips.moving_frames(5), label='jump', start=70_000)
  record = schema.serialize(values)
  expected = schema.features().deserialize_example_np(record)
  lists = examples.split(record)
  assert lists.keys() == expected.keys()
  (frames,) = examples.strings(lists['frames'])
  assert frames == values['frames'] and frames.obj is record
  for name in ('num_frames', 'height', 'width', 'start', 'crc32'):
    assert examples.numbers(lists[name]) == [expected[name]]
  assert examples.numbers(lists['offsets']) == expected['offsets'].tolist()
  for name in ('video', 'label', 'encoding'):
    assert examples.strings(lists[name]) == [expected[name]]


@pytest.mark.parametrize('record', [b'text', b'\x08\x01', b'\x0a\x09abc'])
def test_what_is_no_example_is_refused(record):
  with pytest.raises(ValueError, match='no example'):
    examples.split(record)


def test_what_is_no_list_of_integers_is_refused():
  with pytest.raises(ValueError, match='no example'):
    examples.numbers(memoryview(b'\x1a\x09abc'))


def test_empty_lists_are_empty():
  assert examples.split(b'') == {}
  assert examples.strings(memoryview(b'')) == []
  assert np.array(examples.numbers(memoryview(b''))).size == 0
