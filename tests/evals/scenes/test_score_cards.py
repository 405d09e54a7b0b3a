"""Tests the cards of scores: the bars of their tables and their sentences."""

import re

import numpy as np

from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import score_cards
from rvm_jax.evals.scenes import verdicts
from tests.viz import test_page

TASKS = {task.name: task for task in benchmark.TASKS}


def make_scores(name, score, low, high, floor):
  return {
      name: score,
      f'{name}_low': low,
      f'{name}_high': high,
      f'{name}_floor': floor,
  }


def test_every_task_has_a_meaning():
  assert score_cards.MEANINGS.keys() == TASKS.keys()


def test_a_card_has_a_row_for_each_encoder_and_for_the_baseline():
  name = 'depth_abs_rel'
  scores = {
      'raw pixels': make_scores(name, 30.0, 28.0, 32.0, 40.0),
      'trained': make_scores(name, 22.0, 20.0, 24.0, 40.0),
  }
  found = [verdicts.Comparison('raw pixels', 8.0, 6.5, 9.5)]
  html = score_cards.draw(TASKS[name], scores, found)
  reader = test_page.Reader(html)
  assert len(reader.find('tr')) == 3
  text = ' '.join(reader.text.split())
  assert 'Lower is better.' in text
  assert 'raw pixels30.028.0 to 32.0' in text
  assert 'baseline: training mean40.0' in text
  assert 'Trained is better than raw pixels by 8.0 (6.5 to 9.5).' in text
  # The values lie between 20 and 40, which take the middle 92 % of the field.
  bars = re.findall(r'left:([\d.]+)%;width:([\d.]+)%', html)
  np.testing.assert_allclose(
      np.array(bars, float), [[40.8, 18.4], [4, 18.4]], atol=0.06
  )
  (trained,) = re.findall(r'<tr class="trained">.*?</tr>', html)
  assert '>trained<' in trained and 'left:13.2%' in trained


def test_masks_have_both_baselines_and_verdicts_follow_the_sign():
  name = 'masks_j_and_f'
  scores = {'trained': make_scores(name, 20.0, 18.0, 21.0, 26.0)}
  scores['trained'][f'{name}_stay'] = 30.0
  found = [
      verdicts.Comparison('raw pixels', 0.5, -1, 2),
      verdicts.Comparison('the baseline', -6.0, -7.0, -5.0),
  ]
  text = test_page.Reader(score_cards.draw(TASKS[name], scores, found)).text
  assert 'masks stay, on the grid26.0' in text
  assert 'masks stay, at full resolution30.0' in text
  assert 'level with raw pixels (1.0 worse to 2.0 better)' in text
  assert 'worse than the baseline by 6.0 (5.0 to 7.0)' in text


def test_a_task_in_which_no_clip_has_a_score_says_so():
  name, nan = 'boxes_iou', float('nan')
  scores = {'trained': make_scores(name, nan, nan, nan, nan)}
  html = score_cards.draw(TASKS[name], scores, [])
  assert 'No clip has a score.' in html and 'nan' not in html
