"""Messages over a TCP connection."""

import select
import socket

import pytest

from rvm_jax.runtime import links


@pytest.fixture
def ends():
  """A link, and the plain socket at its other end."""
  with socket.create_server(('localhost', 0)) as server:
    other = socket.create_connection(server.getsockname())
    connection, _ = server.accept()
  link = links.Link(connection)
  yield link, other
  link.close()
  other.close()


def receive(link):
  assert select.select([link], [], [], 10)[0]
  return link.receive()


def test_messages_come_whole_and_in_order(ends):
  link, other = ends
  other.sendall(b'{"a": 1}\n{"b"')
  assert receive(link) == [{'a': 1}]
  other.sendall(b': [2]}\n')
  assert receive(link) == [{'b': [2]}]
  link.send(c='x')
  assert other.recv(100) == b'{"c": "x"}\n'


def test_receive_without_news_returns_nothing(ends, monkeypatch):
  link, _ = ends
  link._connection.settimeout(0.01)
  assert not link.receive()


def test_receive_at_the_end_raises(ends):
  link, other = ends
  other.close()
  with pytest.raises(EOFError, match='connection was closed'):
    receive(link)
  # Sending to a closed connection raises no error.
  link.send(a=1)


@pytest.mark.parametrize('line', [b'GET / HTTP/1.1\r\n', b'3\n'])
def test_receive_of_another_program_raises(ends, line):
  link, other = ends
  other.sendall(line)
  with pytest.raises(ValueError):
    receive(link)
