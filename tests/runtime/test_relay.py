"""The relay between a process and JAX's coordinator."""

import socket
import time

import pytest

from rvm_jax.runtime import relay


@pytest.fixture
def ends():
  """The two ends of a relayed connection."""
  with socket.create_server(('localhost', 0)) as server:
    host, port = relay.start(*server.getsockname()).split(':')
    near = socket.create_connection((host, int(port)), 20)
    far, _ = server.accept()
  with near, far:
    yield near, far


def test_relay_carries_both_ways(ends):
  near, far = ends
  near.sendall(b'question')
  assert far.recv(100) == b'question'
  far.sendall(b'answer')
  assert near.recv(100) == b'answer'


def test_relay_hides_the_end_of_the_coordinator(ends):
  near, far = ends
  far.sendall(b'last')
  far.close()
  assert near.recv(100) == b'last'
  near.settimeout(1)
  with pytest.raises(TimeoutError):
    near.recv(100)


def test_relay_tells_the_coordinator_of_the_end(ends):
  near, far = ends
  near.close()
  far.settimeout(20)
  assert far.recv(100) == b''


def test_relay_waits_for_the_coordinator():
  with socket.socket() as s:
    s.bind(('localhost', 0))
    address = s.getsockname()
  host, port = relay.start(*address).split(':')
  with socket.create_connection((host, int(port)), 20) as near:
    near.sendall(b'early')
    time.sleep(0.3)
    with socket.create_server(address) as server:
      far, _ = server.accept()
      with far:
        assert far.recv(100) == b'early'
