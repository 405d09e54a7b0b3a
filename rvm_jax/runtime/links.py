"""TCP connections over which the processes of a run exchange messages.

A message is a dict that JSON can hold, sent as one line.
"""

import contextlib
import json
import socket
import threading
from typing import Any, NamedTuple

# Longest wait for the other end to take a message. If it takes longer, the
# message is dropped. The other end is then probably frozen, and `peers` notices
# that no more messages come from it.
_SEND_SECONDS = 5.0
# Longest line in bytes. Only another program sends a longer one.
_MAX_LINE = 16 * 2**20


class Member(NamedTuple):
  """A process of a run: its number, its host's name and its process id."""

  process: int
  host: str
  pid: int

  def __str__(self) -> str:
    return f'process {self.process} (host {self.host}, pid {self.pid})'


class Link:
  """One end of a connection; its methods may be called from any thread."""

  def __init__(self, connection: socket.socket):
    """Takes over a connection.

    Args:
      connection: connected TCP socket.
    """
    connection.settimeout(_SEND_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    self._connection = connection
    self._sending = threading.Lock()
    self._rest = b''

  def fileno(self) -> int:
    """Returns the file descriptor, so that `selectors` can wait for a link."""
    return self._connection.fileno()

  def send(self, **message: Any):
    """Sends a message.

    If the connection is broken, nothing is sent and no error is raised:
    `receive` reports it.

    Args:
      **message: contents of the message by name; JSON must be able to hold
        them.
    """
    line = json.dumps(message).encode() + b'\n'
    with self._sending, contextlib.suppress(OSError):
      self._connection.sendall(line)

  def receive(self) -> list[dict[str, Any]]:
    """Returns the messages that have arrived.

    Call it when `selectors` says that the link can be read. The list is empty
    if only a part of a message has arrived.

    Raises:
      EOFError: the connection is closed or broken.
      ValueError: the data are not a message.
    """
    try:
      data = self._connection.recv(2**16)
    except TimeoutError:
      return []
    except ConnectionResetError:
      # The other end closed the connection before it had read everything.
      data = b''
    except OSError as error:
      raise EOFError(f'its connection broke: {error.strerror}') from error
    if not data:
      raise EOFError('its connection was closed')
    *lines, self._rest = (self._rest + data).split(b'\n')
    messages = [json.loads(line) for line in lines]
    if len(self._rest) > _MAX_LINE or not all(
        isinstance(message, dict) for message in messages
    ):
      raise ValueError('it sent data that are not a message of a run')
    return messages

  def close(self):
    """Closes the connection."""
    self._connection.close()
