"""Tests the page: well-formed, escaped, accessible, nothing from elsewhere."""

from html import parser
import urllib.parse

import numpy as np

from rvm_jax.viz import page

VOID = {'meta', 'link', 'img', 'source'}


class Reader(parser.HTMLParser):
  """Collects elements and checks that they are closed in order."""

  def __init__(self, html):
    super().__init__()
    self.elements, self.text, self._open = [], '', []
    self.feed(html)
    assert not self._open

  def handle_starttag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))
    if tag not in VOID:
      self._open.append(tag)

  def handle_startendtag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, data):
    self.text += data

  def find(self, tag):
    return [attributes for name, attributes in self.elements if name == tag]


def section(**changes):
  """Returns a section of the page, with `changes` to its attributes."""
  values = dict(
      name='a <b> & "c".mp4',
      about='<i>Half</i> of it.',
      stem='1-a',
      num_frames=9,
      wide_size=(20, 60),
      tall_size=(40, 30),
      sheet_size=(70, 80),
      change=np.linspace(0.5, 0.01, 8),
      full_state_change=0.123,
      full_pixel_change=0.0456,
      reconstruction=page.ReconstructionSummary(
          (4, 7), 12, 256, 0.01234, 0.05678, (30, 90)
      ),
  )
  return page.Section(**values | changes)


def test_page_escapes_names_and_facts_and_states_all_numbers():
  html = page.write({'<u>Path': '/x/<y>'}, [section()], 16)
  reader = Reader(html)
  for tag in ('b', 'i', 'u', 'y'):
    assert not reader.find(tag)
  text = ' '.join(reader.text.split())
  for said in (
      'a <b> & "c".mp4',
      '<i>Half</i> of it.',
      '<u>Path',
      '/x/<y>',
      '12.3 % of its length',
      '4.56 % of the way',
      'frames 0 to 3 whole',
      'next 4 frames 95 %',
      'error: 0.0123',
      '12 of 256 patches',
      'Showing frame 3 again instead: 0.0568',
  ):
    assert said in text, said
  assert not reader.find('nav')


def test_page_without_reconstructions_states_the_reason():
  html = page.write({}, [section(reconstruction='No decoder & so on.')], 16)
  assert 'No decoder &amp; so on.' in html
  assert '-painted.png' not in html and 'Mean squared' not in html


def test_page_links_every_file_of_its_folder_and_nothing_else(gallery):
  html = (gallery / 'index.html').read_text()
  reader = Reader(html)
  urls = [
      attributes[key]
      for _, attributes in reader.elements
      for key in ('src', 'href')
      if key in attributes
  ]
  files = {
      urllib.parse.unquote(url) for url in urls if url[:1] not in ('#', 'd')
  }
  assert files | {'index.html'} == {path.name for path in gallery.iterdir()}
  assert 'http' not in html and 'url(' not in html
  assert [url for url in urls if url.startswith('d')] == ['data:,']
  ids = [
      attributes['id']
      for _, attributes in reader.elements
      if 'id' in attributes
  ]
  assert len(set(ids)) == len(ids)
  assert {f'#{i}' for i in ids} >= {u for u in urls if u.startswith('#')}


def test_page_describes_videos_pictures_and_plots_in_words(gallery):
  reader = Reader((gallery / 'index.html').read_text())
  assert reader.find('html') == [{'lang': 'en'}]
  assert all(image['alt'] for image in reader.find('img'))
  for video in reader.find('video'):
    assert video['aria-label'] and {'controls', 'muted'} <= set(video)
  named = [a for _, a in reader.elements if a.get('role') == 'img']
  assert len(named) == 2 and all(a['aria-label'] for a in named)
