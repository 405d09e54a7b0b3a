"""How processes find each other; each is a thread here."""

from concurrent import futures
import re
import select
import socket
import time

import pytest

from rvm_jax.runtime import links as links_lib
from rvm_jax.runtime import meeting


def member(process):
  return links_lib.Member(process, f'host{process}', 100 + process)


@pytest.fixture
def port():
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


@pytest.fixture
def start():
  """Returns a function that runs another in a thread; returns its future."""
  pool = futures.ThreadPoolExecutor()
  yield pool.submit
  pool.shutdown(cancel_futures=True)


def connect(port):
  """Returns a connection to process 0, which may still be starting."""
  for _ in range(200):
    try:
      return socket.create_connection(('localhost', port))
    except ConnectionRefusedError:
      time.sleep(0.1)
  raise AssertionError('process 0 does not listen')


def receive(link):
  assert select.select([link], [], [], 20)[0]
  (message,) = link.receive()
  return message


def test_all_meet_and_learn_the_port_of_jax(start, port):
  joined = [
      start(meeting.join, 'localhost', port, member(i), 3, 30) for i in (2, 1)
  ]
  time.sleep(0.5)  # The others may come before process 0 does.
  links, jax_port = meeting.gather('localhost', port, 3, 30)
  assert sorted(links.values()) == [member(1), member(2)]
  assert jax_port not in (0, port)
  for future in joined:
    (zero,), seen_port = future.result()[0].values(), future.result()[1]
    assert zero == meeting.this_member(0) and seen_port == jax_port


def test_gather_names_those_who_did_not_come(start, port):
  joined = start(meeting.join, 'localhost', port, member(2), 5, 30)
  message = r'of 5 processes 3 did not come within 1 s: 1, 3 to 4\..*:' + str(
      port
  )
  with pytest.raises(TimeoutError, match=message):
    meeting.gather('localhost', port, 5, 1)
  # Whoever is there says the same.
  with pytest.raises(TimeoutError, match=message):
    joined.result()


def test_join_without_process_0_ends_in_time(port):
  start = time.monotonic()
  with pytest.raises(TimeoutError, match='Connection refused.*has started'):
    meeting.join('localhost', port, member(1), 2, 1)
  assert time.monotonic() - start < 10


def test_join_of_an_unknown_host_says_so():
  with pytest.raises(TimeoutError, match='did not answer at no.such.host:1 wi'):
    meeting.join('no.such.host', 1, member(1), 2, 0.5)


def test_join_of_another_program_ends_in_time(monkeypatch, start):
  monkeypatch.setattr(meeting, '_ANSWER_SECONDS', 0.3)
  with socket.create_server(('localhost', 0)) as server:
    port = server.getsockname()[1]
    with pytest.raises(TimeoutError, match='is not process 0 of a run'):
      meeting.join('localhost', port, member(1), 2, 1)


def test_gather_ignores_other_programs(start, port):
  future = start(meeting.gather, 'localhost', port, 2, 30)
  with connect(port) as stranger:
    stranger.sendall(b'GET / HTTP/1.1\r\n\r\n')
    assert stranger.recv(10) == b''
  with connect(port):
    meeting.join('localhost', port, member(1), 2, 30)
    assert list(future.result()[0].values()) == [member(1)]


@pytest.mark.parametrize(
    'other, count, message',
    [
        (1, 4, r'--num_processes differs: process 0 .* has 3, process 1 .* 4'),
        (2, 3, r'two processes have --process_id=2: process 2 .* and process'),
        (0, 3, r'two processes have --process_id=0: process 0 .* and process'),
    ],
)
def test_processes_that_do_not_fit_are_refused_everywhere(
    start, port, other, count, message
):
  gathered = start(meeting.gather, 'localhost', port, 3, 30)
  first = links_lib.Link(connect(port))
  first.send(greeting='rvm_jax 1', member=member(2), count=3)
  assert 'member' in receive(first)
  with pytest.raises(ValueError, match=message):
    meeting.join('localhost', port, member(other), count, 30)
  with pytest.raises(ValueError, match=message):
    gathered.result()
  refused = receive(first)
  assert re.match(message, refused['refused']) and refused['is_mistake']


def test_gather_refuses_a_port_in_use(monkeypatch):
  monkeypatch.setattr(meeting, '_BIND_SECONDS', 0)
  with socket.create_server(('', 0)) as server:
    port = server.getsockname()[1]
    with pytest.raises(ValueError, match=f'port {port} .*Address already in u'):
      meeting.gather('localhost', port, 2, 30)


def test_name_numbers_joins_ranges():
  assert meeting.name_numbers([0, 2, 3, 4, 7]) == '0, 2 to 4, 7'
