"""Tests the page in a real browser, over HTTP.

The tests are skipped where no Chromium is installed.
"""

import threading

import pytest

from rvm_jax.live import server as server_lib
from tests.viz import chromium
from tests.viz import test_browser

pytestmark = pytest.mark.skipif(
    not chromium.PATH, reason='no chromium is installed'
)

# Waits until a condition on the page holds, runs a statement in that moment,
# and returns whether it did.
WAIT = """
(async () => {
  for (let i = 0; i < 10000; i++) {
    if (%s) {
      %s;
      return true;
    }
    await new Promise(next => setTimeout(next, 5));
  }
  return false;
})()
"""

# Sends the picture of the video a click whose position is beside it. A mouse
# cannot do that.
CLICK_BESIDE = """
(() => {
  const stage = document.querySelector('.stage');
  const box = stage.getBoundingClientRect();
  const point = {clientX: box.right + 9, clientY: box.top};
  stage.dispatchEvent(new MouseEvent('click', point));
})()
"""


@pytest.fixture(scope='module')
def page(player, tmp_path_factory):
  """The page in a window; all requests must have gone to its server."""
  with server_lib.Server(0) as server:
    thread = threading.Thread(target=server.serve, args=(player, 'a', 'b'))
    thread.start()
    with chromium.Page(tmp_path_factory.mktemp('profile')) as page:
      page.show(server.url, *test_browser.DESKTOP)
      yield page
      assert not page.errors
      for url in page.requests:
        assert url.startswith((server.url, 'data:')), url
    server.shutdown()
    thread.join()


def wait(page, condition, then=''):
  assert page.run(WAIT % (condition, then)), condition


def press(key, target='document.body'):
  """Returns a script that presses a key."""
  event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})"
  return f'{target}.dispatchEvent({event})'


def test_page_plays_tracks_and_obeys_keys(page):
  wait(page, 'view && view.has_ended && !playing')
  assert 'has ended' in page.run('find("message").textContent')
  assert page.run('find("number").textContent') == '19'
  # The video has ended, so that no frame comes between the two events.
  box = page.run(
      'document.querySelector(".stage").getBoundingClientRect().toJSON()'
  )
  place = {'x': box['x'] + box['width'] / 2, 'y': box['y'] + box['height'] / 2}
  for kind in ('mousePressed', 'mouseReleased'):
    button = {'type': kind, 'button': 'left', 'clickCount': 1}
    page.call('Input.dispatchMouseEvent', **button, **place)
  wait(page, 'view.tracks.length == 1')
  track = page.run('view.tracks[0]')
  assert abs(track['x'] - 48) < 16 and abs(track['y'] - 32) < 16
  # Both pictures have the cross and its number.
  marks = '[...document.querySelectorAll(".stage .cross, .stage text")]'
  assert page.run(f'{marks}.length') == 4

  page.run(press('r'))
  wait(page, 'playing && view.number < 15', press(' '))
  # An answer may still be on its way. Requests are sent one after the other.
  number = page.run('queue.then(() => view.number)')
  assert not page.run('playing')
  page.run(press('s'))
  wait(page, f'view.number == {number + 1}')
  stage = 'document.querySelector(".stage")'
  page.run(press('ArrowRight', stage))
  page.run(press('Enter', stage))
  wait(page, 'view.tracks.length == 1')
  page.run(press('c'))
  wait(page, 'view.tracks.length == 0')
  page.run(CLICK_BESIDE)
  wait(page, 'find("message").textContent.includes("outside")')


@pytest.mark.parametrize(
    'size, scheme',
    [(test_browser.PHONE, 'dark'), (test_browser.DESKTOP, 'light')],
)
def test_page_fits_the_window_and_can_be_read(page, size, scheme):
  url = page.run('location.href')
  page.show(url, *size, scheme)
  wait(page, 'view && view.number >= 1')
  assert page.run('document.documentElement.scrollWidth') <= size[0]
  assert not page.run(test_browser.CUT_OFF)
  contrast, element = min(page.run(test_browser.CONTRAST))
  assert contrast >= 4.5, element
