"""Tests the server over HTTP, as a browser or another site would ask it."""

import http.client
import json
import threading
import urllib.error
import urllib.request

import pytest

from rvm_jax.live import server as server_lib


@pytest.fixture(scope='module')
def server(player):
  with server_lib.Server(0) as server:
    thread = threading.Thread(target=server.serve, args=(player, 'a <b>', 'c'))
    thread.start()
    yield server
    server.shutdown()
    thread.join()


def ask(server, path, body=None, **headers):
  """Sends a request; returns status, headers and body."""
  data = body if body is None or isinstance(body, bytes) else json.dumps(body)
  request = urllib.request.Request(
      server.url[:-1] + path,
      data.encode() if isinstance(data, str) else data,
      headers,
  )
  try:
    with urllib.request.urlopen(request, timeout=60) as answer:
      return answer.status, answer.headers, answer.read().decode()
  except urllib.error.HTTPError as error:
    return error.code, error.headers, json.loads(error.read())['error']


def test_page_is_served_on_the_loopback_address_alone(server):
  assert server.server_address[0] == '127.0.0.1'
  status, headers, text = ask(server, '/')
  assert status == 200 and '<h1>a &lt;b&gt;</h1>' in text
  assert "default-src 'none'" in headers['Content-Security-Policy']
  assert headers['Cross-Origin-Resource-Policy'] == 'same-origin'
  assert ask(server, '/other')[0] == 404
  assert ask(server, '/other', {})[0] == 404


@pytest.fixture(autouse=True)
def first(server):
  """What the server shows of the first frame."""
  return json.loads(ask(server, '/restart', {})[2])


def test_frame_and_click_are_answered(server):
  status, _, text = ask(server, '/frame', {'after': 0})
  assert status == 200 and json.loads(text)['number'] == 1
  origin = server.url[:-1]
  click = {'x': 40.5, 'y': 40, 'number': 0}
  status, _, text = ask(server, '/click', click, Origin=origin)
  assert status == 200 and len(json.loads(text)['tracks']) == 1
  assert not json.loads(ask(server, '/clear', {})[2])['tracks']
  assert json.loads(ask(server, '/recolour', {})[2])['number'] == 1


def test_click_outside_is_refused_with_a_message(server):
  status, _, error = ask(server, '/click', {'x': 96, 'y': 4, 'number': 0})
  assert status == 400
  assert error == (
      'the click at x=96, y=4 lies outside of the frame, which is 96 x 64'
      ' pixels'
  )


@pytest.mark.parametrize(
    'body',
    [
        b'',
        b'[',
        b'\xff',
        [1],
        {'after': 'b'},
        {'after': 0.5},
        {'before': 1},
        b' ' * 2000,
    ],
)
def test_body_that_is_not_what_is_asked_for_is_refused(server, body):
  status, _, error = ask(server, '/frame', body)
  assert status == 400 and error


def test_other_hosts_and_origins_are_refused(server):
  for method, path in (('GET', '/'), ('POST', '/frame')):
    connection = http.client.HTTPConnection(*server.server_address)
    headers = {'Host': f'evil.example:{server.server_address[1]}'}
    connection.request(method, path, b'{"after": -1}', headers)
    answer = connection.getresponse()
    assert answer.status == 403
    assert 'evil.example' in json.loads(answer.read())['error']
    connection.close()
  for origin in ('http://evil.example', 'null', 'http://127.0.0.1:1'):
    status, _, error = ask(server, '/frame', {'after': -1}, Origin=origin)
    assert status == 403 and origin in error
  # None of them moved the video.
  assert json.loads(ask(server, '/frame', {'after': -1})[2])['number'] == 0


def test_port_in_use_is_named():
  with server_lib.Server(0) as first:
    port = first.server_address[1]
    with pytest.raises(ValueError, match=f'--port={port} .*in use'):
      server_lib.Server(port)
