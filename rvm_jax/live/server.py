"""A web server for the page, which only this machine can reach.

The server binds to the loopback address. A page of another site could still
make the browser send requests to it: under a host name of that site which
resolves to 127.0.0.1 (DNS rebinding), or with a form. Requests must therefore
name this server in `Host` and must not come from another origin, and answers
may not be embedded in other pages.
"""

from collections.abc import Callable
import http
import http.server
import json
import socketserver
import sys
import threading
from typing import Any

from rvm_jax.live import page
from rvm_jax.live import player as player_lib

HOST = '127.0.0.1'
# Names under which a browser on this machine reaches the server.
_NAMES = (HOST, 'localhost')
# Greatest length of a request's body, which contains a few numbers.
_MAX_BYTES = 1000
_REAL = (int, float)
# For each path that the page may request: the method of `Player` that answers,
# and the types of its arguments.
_ACTIONS: dict[
    str, tuple[Callable[..., dict[str, Any]], dict[str, tuple[type, ...]]]
] = {
    '/frame': (player_lib.Player.advance, {'after': (int,)}),
    '/click': (
        player_lib.Player.click,
        {'x': _REAL, 'y': _REAL, 'number': (int,)},
    ),
    '/clear': (player_lib.Player.clear, {}),
    '/recolour': (player_lib.Player.recolour, {}),
    '/restart': (player_lib.Player.restart, {}),
}
_HEADERS = {
    'Cache-Control': 'no-store',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
}


class Server(http.server.ThreadingHTTPServer):
  """Serves the page and answers its questions, one at a time.

  Attributes:
    url: address of the page.
  """

  # On Windows this option would let two servers share a port.
  allow_reuse_address = sys.platform != 'win32'

  def __init__(self, port: int):
    """Takes a port; `serve` answers on it.

    Args:
      port: number of the port; 0 takes one that is free.

    Raises:
      ValueError: the port is in use, or may not be used.
    """
    try:
      super().__init__((HOST, port), _Handler)
    except OSError as error:
      raise ValueError(
          f'--port={port} of {HOST} cannot be used: {error.strerror}; take'
          ' another, or 0 for any that is free'
      ) from error
    self.url = f'http://{HOST}:{self.server_address[1]}/'
    self.hosts = {f'{name}:{self.server_address[1]}' for name in _NAMES}
    self.lock = threading.Lock()

  def server_bind(self):
    """Binds the socket without looking up the name of the host.

    The base class looks it up. That takes seconds if no name server answers,
    and the name is not needed.
    """
    socketserver.TCPServer.server_bind(self)

  def serve(self, player: player_lib.Player, title: str, about: str):
    """Answers requests until `shutdown`, or until it is interrupted.

    Args:
      player: player of the video or camera that the page shows.
      title: name of the video or camera.
      about: sentences about the model and the size of the frames.
    """
    self.player = player
    self.page = page.write(title, about).encode()
    self.serve_forever(poll_interval=0.1)


class _Handler(http.server.BaseHTTPRequestHandler):
  """Answers a request."""

  server: Server
  # Keeps the connection open, so that a frame needs no new one.
  protocol_version = 'HTTP/1.1'

  def do_GET(self):
    """Answers with the page."""
    if self._is_allowed():
      if self.path == '/':
        self._send(http.HTTPStatus.OK, self.server.page, 'text/html')
      else:
        self._refuse(http.HTTPStatus.NOT_FOUND, f'no page at {self.path}')

  def do_POST(self):
    """Does what the page asks for and answers with the newest frame."""
    if not self._is_allowed():
      return
    if self.path not in _ACTIONS:
      self._refuse(http.HTTPStatus.NOT_FOUND, f'nothing at {self.path}')
      return
    action, types = _ACTIONS[self.path]
    try:
      numbers = self._read_numbers(types)
      with self.server.lock:
        answer = action(self.server.player, **numbers)
    except ValueError as error:
      self._refuse(http.HTTPStatus.BAD_REQUEST, str(error))
      return
    self._send_json(http.HTTPStatus.OK, answer)

  def log_message(self, *args: Any):
    """Logs nothing: the base class would print a line for each frame."""

  def _is_allowed(self) -> bool:
    """Returns whether a request is allowed, and answers it if it is not.

    Requests that another site may have caused are not allowed.
    """
    host, origin = self.headers['Host'], self.headers['Origin']
    if host not in self.server.hosts:
      reason = f'open {self.server.url}: host {host} is not served'
    elif origin and origin not in {f'http://{h}' for h in self.server.hosts}:
      reason = f'a page of {origin} may not use this server'
    else:
      return True
    self._refuse(http.HTTPStatus.FORBIDDEN, reason)
    return False

  def _read_numbers(self, types: dict[str, tuple[type, ...]]) -> dict[str, Any]:
    """Reads the body of a request, a JSON object of numbers.

    Args:
      types: allowed types of each number, by the number's name.

    Returns:
      The numbers by name; all of those in `types`, and no others.

    Raises:
      ValueError: the body is too long, or anything else than such an object.
    """
    length = self.headers['Content-Length'] or ''
    if not length.isdecimal() or int(length) > _MAX_BYTES:
      self.close_connection = True
      raise ValueError(f'expected 2 to {_MAX_BYTES} bytes, got {length or 0}')
    numbers = json.loads(self.rfile.read(int(length)))
    if (
        not isinstance(numbers, dict)
        or numbers.keys() != types.keys()
        or any(type(x) not in types[name] for name, x in numbers.items())
    ):
      raise ValueError(
          f'{self.path} takes a JSON object with the numbers'
          f' {sorted(types)}, got {numbers}'
      )
    return numbers

  def _refuse(self, status: http.HTTPStatus, reason: str):
    # The rest of the request is not read, so that the connection must end.
    self.close_connection = True
    self._send_json(status, {'error': reason})

  def _send_json(self, status: http.HTTPStatus, answer: dict[str, Any]):
    self._send(status, json.dumps(answer).encode(), 'application/json')

  def _send(self, status: http.HTTPStatus, body: bytes, kind: str):
    try:
      self.send_response(status)
      self.send_header('Content-Type', f'{kind}; charset=utf-8')
      self.send_header('Content-Length', str(len(body)))
      for name, value in _HEADERS.items():
        self.send_header(name, value)
      if kind == 'text/html':
        self.send_header('Content-Security-Policy', page.POLICY)
      if self.close_connection:
        self.send_header('Connection', 'close')
      self.end_headers()
      self.wfile.write(body)
    except ConnectionError:
      # The page was closed in the meantime.
      self.close_connection = True
