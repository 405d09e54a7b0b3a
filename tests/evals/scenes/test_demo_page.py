"""Tests that the demo's page is one whole file and agrees with its numbers."""

import dataclasses
import re

import numpy as np

from rvm_jax.evals.scenes import demo_page
from rvm_jax.evals.scenes import demo_style
from rvm_jax.evals.scenes import history
from rvm_jax.viz import style
from tests.evals.scenes import test_verdicts
from tests.viz import test_page


def make_contents(trained=20.0, untrained=15.0):
  """Returns contents in which each score has one value in all clips."""
  values = {'raw pixels': 18.0, 'untrained': untrained, 'trained': trained}
  rows = {name: test_verdicts.make_rows(x) for name, x in values.items()}
  scores = {
      name: {
          f'{key}{end}': rows[name][0][f'{key}{"_floor" * (end == "_floor")}']
          for key in demo_page.score_cards.MEANINGS
          for end in ('', '_low', '_high', '_floor')
      }
      for name in values
  }
  masks = test_verdicts.make_masks(
      trained / 100, untrained=untrained / 100, **{'masks that stay': 0.25}
  )
  return demo_page.Contents(
      workdir='/runs/<demo>',
      facts={'Steps': '60'},
      history=history.History(np.array([20, 60]), np.array([0.04, 0.02]), 9, 1),
      reconstructions={0: b'first', 60: b'last'},
      movies=[demo_page.Movie('Scene 1', b'w', b't', (40, 60), (60, 40))],
      panels={'Video': 'The frames.'},
      masks=masks,
      about_masks='Masks of 6 objects.',
      rows=rows,
      scores=scores,
      about_scores='On 8 clips.',
  )


def test_page_has_all_contents_and_refers_to_no_other_file():
  html = demo_page.write(make_contents())
  reader = test_page.Reader(html)
  sources = [x['src'] for tag in ('img', 'source') for x in reader.find(tag)]
  assert len(sources) == 4
  assert sources[0] == 'data:image/png;base64,Zmlyc3Q='
  assert all(source.startswith('data:') for source in sources)
  assert not re.findall(r'(?:https?:|url\()', html)
  assert len(reader.find('article')) == 8
  text = ' '.join(reader.text.split())
  for said in ('/runs/<demo>', 'Steps60', 'Masks of 6 objects.', 'On 8 clips.'):
    assert said in text
  assert '0.0400 at step 20, 0.0200 at step 60' in text
  assert 'Step 0' in text and 'Step 60' in text


def test_verdicts_follow_the_numbers():
  def sides(contents):
    """Returns what training adds and what it does not, as HTML."""
    html = demo_page.write(contents)
    text = html[html.index('What training adds') : html.index('id="training"')]
    return text.split('What it does not yet')

  adds, lacks = sides(make_contents())
  assert 'untrained network in 6 of 8' in adds
  assert 'untrained network in 2 of 8' in lacks
  assert 'worse than masks that stay (0.250)' in lacks
  adds, lacks = sides(make_contents(trained=15.0, untrained=20.0))
  assert 'untrained network in 2 of 8' in adds
  assert 'untrained network in 6 of 8' in lacks
  adds, lacks = sides(make_contents(trained=30.0))
  assert 'masks that stay (0.250)' in adds and 'stay' not in lacks


def test_a_run_without_metrics_and_pictures_has_a_page():
  contents = dataclasses.replace(
      make_contents(), history=None, reconstructions={}
  )
  html = demo_page.write(contents)
  assert 'no metrics.jsonl' in html and '<img' not in html


def test_css_has_rules_for_the_classes_of_the_page():
  html = demo_page.write(make_contents())
  body = html[html.index('<body>') : html.index('<script>')]
  used = set(re.findall(r'class="?(\w+)', body))
  rules = style.CSS + demo_style.CSS
  assert used <= set(re.findall(r'\.([a-z]\w*)', rules))
  own = set(re.findall(r'\.([a-z]\w*)', demo_style.CSS))
  assert own <= used
