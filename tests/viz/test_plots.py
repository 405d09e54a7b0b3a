"""Tests that the line of a plot is where its values are."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rvm_jax.viz import plots


def points(html):
  """Reads the points of the line, [n, 2]."""
  (text,) = re.findall(r'points="([^"]*)"', html)
  return np.array([pair.split(',') for pair in text.split()], float)


def test_line_is_at_the_logarithm_of_its_values():
  html = plots.draw_line(np.array([1.0, 0.1, 0.01, 0.1]), 1, 'How <much>')
  np.testing.assert_allclose(
      points(html), [[25, 0], [50, 50], [75, 100], [100, 50]], atol=0.01
  )
  ElementTree.fromstring(html)
  steps = re.search(r'class="high".*?</div>', html, re.S)[0]
  assert re.findall('<span>(.*?)</span>', steps) == ['100 %', '10 %', '1 %']
  assert re.findall(r'left:([\d.]+)%">(\d+)<', html) == [
      (f'{25 * i:.2f}', f'{i}') for i in range(5)
  ]
  assert (
      'How &lt;much&gt;: 100 % in frame 1, 10 % in frame 4; at most 100 %, in'
      ' frame 1, and at least 1 %, in frame 3'
  ) in html


@pytest.mark.parametrize('values', [[0.0], [0.5, 0.0], [3.0] * 200])
def test_line_stays_in_the_field_for_any_values(values):
  html = plots.draw_line(np.array(values), 1, 'x')
  found = points(html)
  assert len(found) == len(values)
  assert found.min() >= 0 and found.max() <= 100


def test_curve_is_over_steps_with_a_label_for_each_factor_of_two():
  html = plots.draw_curve(
      np.array([20, 60, 80]), np.array([0.04, 0.02, 0.01]), 'Loss <x>'
  )
  np.testing.assert_allclose(
      points(html), [[25, 0], [75, 50], [100, 100]], atol=0.01
  )
  ElementTree.fromstring(html)
  steps = re.search(r'class="high".*?</div>', html, re.S)[0]
  assert re.findall('<span>(.*?)</span>', steps) == ['0.04', '0.02', '0.01']
  assert re.findall(r'left:([\d.]+)%">(\d+)<', html) == [
      (f'{25 * i:.2f}', f'{20 * i}') for i in range(5)
  ]
  assert 'Loss &lt;x&gt;: 0.0400 at step 20, 0.0100 at step 80' in html


@pytest.mark.parametrize('values', [[0.0], [3.0, 1e-9], [0.02] * 3])
def test_curve_stays_in_the_field_for_any_values(values):
  html = plots.draw_curve(np.arange(len(values)), np.array(values), 'x')
  found = points(html)
  assert len(found) == len(values)
  assert found.min() >= 0 and found.max() <= 100
  assert html.count('<span>') <= 8
