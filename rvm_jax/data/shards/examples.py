"""Parsing of examples of tensorflow-datasets without copies of large values.

An example is a protocol buffer, which maps names to lists of integers, of
floats, or of strings of bytes. The usual parser copies strings twice, which for
the frames of a clip takes a third as long as reading them.
"""

from collections.abc import Iterator


def split(record: bytes) -> dict[str, memoryview]:
  """Returns the lists of an example by their names, still encoded.

  Args:
    record: an encoded example.

  Raises:
    ValueError: the record is no example.
  """
  lists = {}
  for features in _fields(memoryview(record)):
    for entry in _fields(features):
      name, values = _fields(entry)
      lists[bytes(name).decode()] = values
  return lists


def strings(values: memoryview) -> list[memoryview]:
  """Returns the strings of an encoded list, as views of the record.

  Args:
    values: a list of strings that `split` returned; others raise ValueError.
  """
  return [string for part in _fields(values) for string in _fields(part)]


def numbers(values: memoryview) -> list[int]:
  """Returns the integers of an encoded list.

  Args:
    values: a list of integers that `split` returned.

  Raises:
    ImportError: tensorflow-datasets is not installed.
  """
  # An optional dependency, which does not import TensorFlow for this.
  from tensorflow_datasets.proto import tf_feature_pb2

  return list(tf_feature_pb2.Feature.FromString(values).int64_list.value)


def _fields(message: memoryview) -> Iterator[memoryview]:
  """Yields the fields of an encoded message, all of which have a length."""
  place = 0
  while place < len(message):
    tag, place = _integer(message, place)
    size, place = _integer(message, place)
    if tag % 8 != 2 or place + size > len(message):
      raise ValueError('the record is no example of tensorflow-datasets')
    yield message[place : place + size]
    place += size


def _integer(message: memoryview, place: int) -> tuple[int, int]:
  """Returns the integer that is encoded at a place, and the place after it."""
  number = shift = 0
  while place < len(message):
    byte = message[place]
    place += 1
    number |= (byte & 127) << shift
    shift += 7
    if byte < 128:
      return number, place
  raise ValueError('the record is no example of tensorflow-datasets')
