"""The scalars that TensorBoard shows of a workdir."""

import pathlib

from tensorboardX.proto import event_pb2


def read(workdir: pathlib.Path) -> dict[str, list[tuple[int, float]]]:
  """Returns pairs (step, value) by tag, in the order they were written.

  This follows TensorBoard: it reads the files one after the other, leaves out a
  last record that is not whole, and at each start of a run drops the values at
  or after the step of the start.
  """
  shown = {}
  for path in sorted(workdir.glob('events.out.tfevents.*')):
    for record in _records(path.read_bytes()):
      event = event_pb2.Event.FromString(record)
      if event.session_log.status == event_pb2.SessionLog.START:
        for pairs in shown.values():
          pairs[:] = [pair for pair in pairs if pair[0] < event.step]
      for value in event.summary.value:
        shown.setdefault(value.tag, []).append((event.step, value.simple_value))
  return shown


def _records(data: bytes):
  """Yields the records of a TFRecord file.

  A record is its length (8 bytes), a checksum (4), the data, a checksum (4).
  """
  while len(data) >= 8:
    size = int.from_bytes(data[:8], 'little')
    if len(data) < size + 16:
      return
    yield data[12 : 12 + size]
    data = data[16 + size :]
