"""Tests the gallery in a real browser, opened from disk as a reader would.

The tests are skipped where no Chromium is installed.
"""

import re

import pytest

from tests.viz import chromium

pytestmark = pytest.mark.skipif(
    not chromium.PATH, reason='no chromium is installed'
)

PHONE, DESKTOP = (375, 812), (1440, 900)

# Plays every video. The time is polled, because a short video that loops is
# often back at its start.
PLAYED = """
(async () => {
  const played = [];
  for (const video of document.querySelectorAll('video')) {
    video.scrollIntoView();
    await video.play();
    const start = video.currentTime;
    const plays = () => video.readyState >= 2 && video.currentTime != start;
    for (let i = 0; i < 600 && !plays(); i++)
      await new Promise(next => setTimeout(next, 50));
    const {width, height} = video.getBoundingClientRect();
    played.push({
      plays: plays(), source: video.currentSrc,
      ratio: width / height / (video.videoWidth / video.videoHeight),
    });
  }
  return played;
})()
"""

# Finds elements that reach beyond the window, or that cut off their content.
CUT_OFF = """
[...document.body.querySelectorAll('*')].filter(element => {
  const {left, right} = element.getBoundingClientRect();
  const hides = getComputedStyle(element).overflowX != 'visible';
  return left < -0.5 || right > innerWidth + 0.5
      || (hides && element.scrollWidth > element.clientWidth);
}).map(element => element.outerHTML.slice(0, 100))
"""

# Loads every picture and returns whether it is shown.
PICTURES = """
(async () => {
  const images = [...document.images];
  images.forEach(image => image.loading = 'eager');
  await Promise.all(images.map(image => image.decode()));
  return images.map(image => image.naturalWidth * image.clientWidth > 0);
})()
"""

# Computes the contrast, as WCAG defines it, of each text with its background.
CONTRAST = """
(() => {
  const channels = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = color => {
    const [r, g, b] = channels(color).slice(0, 3).map(c => c / 255).map(
        c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 ? ground(element.parentElement) : color;
  };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const words = [...element.childNodes].some(
        node => node.nodeType == 3 && node.textContent.trim());
    if (!words || ['SCRIPT', 'VIDEO'].includes(element.tagName)) continue;
    const [a, b] = [getComputedStyle(element).color, ground(element)]
        .map(luminance);
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
                element.outerHTML.slice(0, 80)]);
  }
  return found;
})()
"""


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  with chromium.Page(tmp_path_factory.mktemp('profile')) as page:
    yield page


@pytest.fixture
def page(browser, gallery):
  """A function that opens the gallery.

  Afterwards it is checked that the page requested only files of its folder.
  """

  def show(size, scheme='light'):
    browser.show((gallery / 'index.html').as_uri(), *size, scheme)
    return browser

  browser.requests.clear()
  yield show
  assert not browser.errors
  folder = gallery.as_uri() + '/'
  for url in browser.requests:
    assert url.startswith((folder, 'data:')), url
  assert folder + 'index.html' in browser.requests


@pytest.mark.parametrize('size, kind', [(PHONE, 'tall'), (DESKTOP, 'wide')])
def test_every_video_plays(page, size, kind):
  played = page(size).run(PLAYED)
  assert len(played) == 2
  for video in played:
    assert video['plays'], video
    assert video['source'].endswith(f'-{kind}.mp4'), video
    assert abs(video['ratio'] - 1) < 0.01, video


@pytest.mark.parametrize('size', [PHONE, DESKTOP])
def test_page_fits_the_window_and_shows_every_picture(page, size):
  shown = page(size)
  assert all(shown.run(PICTURES))
  assert shown.run('innerWidth') == size[0]
  assert shown.run('document.documentElement.scrollWidth') <= size[0]
  assert not shown.run(CUT_OFF)


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_text_contrasts_with_its_background(page, scheme):
  shown = page(PHONE, scheme)
  found = shown.run(CONTRAST)
  assert len(found) > 30
  contrast, element = min(found)
  assert contrast >= 4.5, element
  ground = shown.run('getComputedStyle(document.body).backgroundColor')
  is_dark = int(re.search(r'\d+', ground)[0]) < 128
  assert is_dark == (scheme == 'dark')


def test_cursor_of_the_plot_follows_the_video(page):
  place = page(DESKTOP).run("""
(async () => {
  const video = document.querySelector('video');
  video.pause();
  video.currentTime = 3.5 / 16;
  await new Promise(next => video.addEventListener('seeked', next));
  await new Promise(next => setTimeout(next, 300));
  return document.querySelector('.cursor').style.left;
})()
""")
  assert place == f'{100 * 3 / 9:.4f}%'
