"""The plot of the speed over time."""

import re

from rvm_jax.training import goodput_page


def path_of(plot):
  (path,) = re.findall(r'class="speed" d="([^"]*)"', plot)
  return path


def test_plot_has_a_line_of_its_own_for_each_start():
  speeds = [(0, 20, 1.0), (20, 40, 0.5), (80, 100, 2.0)]
  plot = goodput_page.draw_speeds(speeds, [0, 70])
  assert path_of(plot) == (
      'M0.000 50.00H20.000L20.000 75.00H40.000M80.000 0.00H100.000'
  )
  (restarts,) = re.findall(r'class="starting" d="([^"]*)"', plot)
  assert restarts == 'M70.000 0V100'
  names = re.findall(r'left:[\d.]*%">(\d+) (\w+)<', plot)
  assert names[0] == ('0', 's') and 4 <= len(names) <= 7


def test_plot_of_a_long_run_has_few_points():
  speeds = [(i, i + 1, 1 + i % 2) for i in range(20_000)]
  path = path_of(goodput_page.draw_speeds(speeds, [0]))
  assert 500 <= path.count('H') <= 600
  # Neighbours are averaged: 1.5 on an axis up to 2.
  assert set(re.findall(r' ([\d.]+)H', path)) == {'25.00'}
