"""What TensorBoard shows of a workdir."""

import pathlib

from tensorboardX.proto import event_pb2


def read(workdir: pathlib.Path) -> dict[str, list[tuple[int, float]]]:
  """(step, value) pairs by tag, in the order in which they were written.

  As TensorBoard does: files one after the other, a record that a kill has cut
  off left out; and where a run starts, what lies at or after its step dropped.
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
  """TFRecords: 8 bytes of length, 4 of checksum, the data, 4 of checksum."""
  while len(data) >= 8:
    size = int.from_bytes(data[:8], 'little')
    if len(data) < size + 16:
      return
    yield data[12 : 12 + size]
    data = data[16 + size :]
