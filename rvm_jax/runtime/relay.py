"""Carries JAX's messages between this process and its coordinator.

JAX aborts a process, with dozens of lines of C++, as soon as the connection to
its coordinator in process 0 is closed. Therefore JAX connects to a relay, which
runs in threads of this process. When the coordinator closes its connection to
the relay, the relay keeps the one to JAX open. The process then has time to say
what has happened and to end with the right exit code (see `peers`). If it does
not, JAX's own heartbeats end it after 100 s.
"""

import contextlib
import socket
import threading
import time

# Longest wait for the coordinator, which may start later than this relay.
_CONNECT_SECONDS = 60.0
_RETRY_SECONDS = 0.1


def start(host: str, port: int) -> str:
  """Starts a relay, in threads that end with the process.

  Args:
    host: host of JAX's coordinator.
    port: port of JAX's coordinator.

  Returns:
    The address 'HOST:PORT' of the relay, which JAX takes as its coordinator's.
  """
  listener = socket.create_server(('127.0.0.1', 0))
  _run(_accept, listener, host, port)
  return f'127.0.0.1:{listener.getsockname()[1]}'


def _run(function, *args):
  threading.Thread(
      target=function, args=args, name='relay', daemon=True
  ).start()


def _accept(listener: socket.socket, host: str, port: int):
  while True:
    near, _ = listener.accept()
    _run(_carry, near, host, port)


def _carry(near: socket.socket, host: str, port: int):
  """Connects to the coordinator and copies in both directions."""
  end = time.monotonic() + _CONNECT_SECONDS
  while True:
    try:
      far = socket.create_connection((host, port), _CONNECT_SECONDS)
      break
    except OSError:
      if time.monotonic() > end:
        # JAX connects again, until its own time limit is over.
        near.close()
        return
    time.sleep(_RETRY_SECONDS)
  far.settimeout(None)
  for connection in near, far:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  # When the coordinator closes `far`, the thread that copies from it ends, and
  # `near` stays open. Only when JAX closes `near` are both closed.
  _run(_copy, far, near)
  _copy(near, far)
  for connection in near, far:
    # close() alone would not wake the other thread, which waits in recv().
    with contextlib.suppress(OSError):
      connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _copy(source: socket.socket, sink: socket.socket):
  """Copies until one of the connections ends."""
  # An error needs no report: it ends the copying like the end of a connection.
  with contextlib.suppress(OSError):
    while data := source.recv(2**16):
      sink.sendall(data)
