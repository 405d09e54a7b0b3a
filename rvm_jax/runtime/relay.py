"""Carries JAX's messages between this process and its coordinator.

JAX aborts a process, with dozens of lines of C++, as soon as the connection to
its coordinator in process 0 is closed. A relay inside of this process keeps its
end open, so that the process itself says what has happened and ends with the
right code (`peers`). JAX's own heartbeats still end it after 100 s.
"""

import contextlib
import socket
import threading
import time

# The coordinator may start a moment later than its connections.
_CONNECT_SECONDS = 60.0
_RETRY_SECONDS = 0.1


def start(host: str, port: int) -> str:
  """Starts a relay, in threads that end with the process.

  Args:
    host: host of JAX's coordinator.
    port: its port.

  Returns:
    The address 'HOST:PORT' at which this process reaches the coordinator.
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
        # JAX tries again, until its own time is over.
        near.close()
        return
    time.sleep(_RETRY_SECONDS)
  far.settimeout(None)
  for connection in near, far:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  # When the coordinator ends its connection, that of this process stays open.
  _run(_copy, far, near)
  _copy(near, far)
  for connection in near, far:
    # Closing alone would not end the other thread's wait.
    with contextlib.suppress(OSError):
      connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _copy(source: socket.socket, sink: socket.socket):
  """Copies until one of the connections ends."""
  # The other side notices by itself what is wrong with its connection.
  with contextlib.suppress(OSError):
    while data := source.recv(2**16):
      sink.sendall(data)
