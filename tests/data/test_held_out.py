"""Videos are kept out of training by their names alone, and evenly."""

import numpy as np

from rvm_jax.data import held_out


def test_choice_depends_on_the_name_of_the_file_alone():
  draw = held_out.draw('/videos/a.b.mp4')
  assert draw == held_out.draw('/moved/videos/a.b.mp4')
  assert draw == held_out.draw('a.b.avi')
  assert draw != held_out.draw('/videos/a.c.mp4')


def test_draws_are_those_of_earlier_versions():
  # A run that goes on must keep out the same videos.
  names = ('a.mp4', 'b.mp4', 'café.mp4')
  assert [round(held_out.draw(name), 6) for name in names] == [
      0.791374,
      0.242735,
      0.519768,
  ]


def test_draws_are_spread_evenly():
  draws = np.sort([held_out.draw(f'{i:06}.mp4') for i in range(10_000)])
  assert 0 <= draws[0] and draws[-1] < 1
  even = np.linspace(0, 1, len(draws))
  # The bound of a Kolmogorov-Smirnov test at one in a million.
  assert np.abs(draws - even).max() < 2.7 / len(draws) ** 0.5
