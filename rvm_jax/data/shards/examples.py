"""Parses the records of tensorflow-datasets without copying large values.

A record is an encoded `tf.train.Example`, here called an example: a protocol
buffer that maps names to lists of integers, of floats, or of byte strings. The
usual parser copies strings twice, which for the frames of a clip takes a third
as long as reading them.
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
  # The one field of an example holds its features, whose fields are entries of
  # two fields each: a name and an encoded list.
  for features in _fields(memoryview(record)):
    for entry in _fields(features):
      name, values = _fields(entry)
      lists[bytes(name).decode()] = values
  return lists


def strings(values: memoryview) -> list[memoryview]:
  """Returns the strings of an encoded list, as views of the record.

  Args:
    values: a list of strings that `split` returned. A list of another kind is
      not always noticed.

  Raises:
    ValueError: the values are no encoded list.
  """
  return [string for part in _fields(values) for string in _fields(part)]


def numbers(values: memoryview) -> list[int]:
  """Returns the integers of an encoded list.

  Args:
    values: a list of integers that `split` returned. A list of another kind
      gives no integers.

  Raises:
    ImportError: tensorflow-datasets is not installed.
    ValueError: this is no encoded list.
  """
  # An optional dependency, which does not import TensorFlow for this.
  from google.protobuf import message
  from tensorflow_datasets.proto import tf_feature_pb2

  try:
    return list(tf_feature_pb2.Feature.FromString(values).int64_list.value)
  except message.DecodeError as error:
    raise ValueError(f'the record is no example: {error}') from error


def _fields(message: memoryview) -> Iterator[memoryview]:
  """Yields the contents of the fields of an encoded message, in order.

  Raises:
    ValueError: a field is not stored with its length (wire type 2 of protocol
      buffers), or is longer than the message.
  """
  place = 0
  while place < len(message):
    tag, place = _integer(message, place)
    size, place = _integer(message, place)
    if tag % 8 != 2 or place + size > len(message):
      raise ValueError('the record is no example of tensorflow-datasets')
    yield message[place : place + size]
    place += size


def _integer(message: memoryview, place: int) -> tuple[int, int]:
  """Returns the integer that is encoded at a place, and the place after it.

  Each byte has seven bits of the integer, the lowest first. The upper bit says
  whether another byte follows.

  Raises:
    ValueError: the message ends within the integer.
  """
  number = shift = 0
  while place < len(message):
    byte = message[place]
    place += 1
    number |= (byte & 127) << shift
    shift += 7
    if byte < 128:
      return number, place
  raise ValueError('the record is no example of tensorflow-datasets')
