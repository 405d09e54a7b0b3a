"""Many requests to the file system at once, and stamps of files."""

import os
import threading

import pytest

from rvm_jax.data.video import lookups


def test_answers_come_in_the_order_of_the_paths():
  paths = [str(number) for number in range(1003)]
  assert list(lookups.ask_all(int, paths)) == list(range(1003))
  assert not list(lookups.ask_all(int, []))


def test_requests_are_on_their_way_at_once():
  # The first and the last request wait for each other.
  together = threading.Barrier(2, timeout=60)

  def ask(path):
    if path in ('0', '999'):
      together.wait()
    return path

  paths = [str(number) for number in range(1000)]
  assert list(lookups.ask_all(ask, paths)) == paths


def test_errors_of_requests_are_raised():
  with pytest.raises(FileNotFoundError):
    list(lookups.ask_all(lookups.stamp, ['/nowhere/at/all'] * 500))


def test_stamp_tells_size_and_time(tmp_path):
  path = tmp_path / 'a.mp4'
  path.write_bytes(b'12345')
  os.utime(path, ns=(7, 3_000_000_007))
  assert lookups.stamp(str(path)) == (5, 3_000_000_007)
  assert lookups.stamp_or_reason(str(path)) == (5, 3_000_000_007)
  reason = lookups.stamp_or_reason(str(tmp_path / 'b.mp4'))
  assert reason == 'No such file or directory'
  # All folders count as of one size.
  (tmp_path / 'c').mkdir()
  folders = [lookups.stamp(str(x)) for x in (tmp_path, tmp_path / 'c')]
  assert folders[0][0] == folders[1][0]
