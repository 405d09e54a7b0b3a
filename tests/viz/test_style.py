"""Tests that the style sheet and the page's HTML agree."""

import re

from rvm_jax.viz import page
from rvm_jax.viz import style
from tests.viz import test_page


def test_css_has_rules_for_exactly_the_classes_of_the_page():
  html = page.write({'Long': 'x' * 40}, [test_page.section()], 16)
  body = html[html.index('<body>') : html.index('<script>')]
  used = set(re.findall(r'class="?(\w+)', body))
  styled = set(re.findall(r'\.([a-z]\w*)', style.CSS))
  assert used == styled


def test_script_finds_the_elements_that_it_asks_for():
  html = page.write({}, [test_page.section()], 16)
  body = html[html.index('<body>') : html.index('<script>')]
  for selector in re.findall(r"querySelector(?:All)?\('(.*?)'\)", style.SCRIPT):
    kind, name = re.fullmatch(r'(\.?)(\w+)', selector).groups()
    assert (f'class="{name}"' if kind else f'<{name} ') in body, selector
