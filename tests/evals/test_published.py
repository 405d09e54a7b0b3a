"""Published scores stand only beside results of their model and protocol."""

import importlib
import json

import pytest

from rvm_jax.evals import published


def make_result(name, model, variant='', **changes):
  """Makes a result of a shipped config, with some settings changed."""
  config = importlib.import_module(f'configs.eval_{name}').get_config()
  protocol = json.loads(config.protocol.to_json())
  headline = {'davis': 'j_and_f', 'vip': 'miou', 'jhmdb': 'pck_0.1'}
  return {
      'benchmark': name,
      'headline': headline.get(name, 'top_1'),
      'protocol': protocol | changes,
      'model': {'name': model, 'variant': variant},
  }


@pytest.mark.parametrize('name', ['davis', 'vip', 'jhmdb'])
def test_shipped_configs_have_the_protocol_of_the_released_evaluation(name):
  result = make_result(name, 'RVM-L')
  assert published.tag(result) == 'released'
  assert published.find(result).value > 30
  # Results of early versions have neither a variant nor `center_frames`.
  del result['model']['variant']
  del result['protocol']['propagation']['center_frames']
  assert published.tag(result) == 'released'
  result['protocol']['propagation']['center_frames'] = True
  assert published.tag(result).startswith('own ')


def test_rivals_have_published_scores_in_the_released_variant_alone():
  released = make_result('davis', 'DINOv2-L', 'released')
  fair = make_result('davis', 'DINOv2-L', 'fair')
  assert published.find(released).value == 61.7
  assert published.tag(fair) == 'fair' and published.find(fair) is None
  for model in ('untrained DINOv2-L', 'DINOv2-L with registers', 'raw pixels'):
    assert published.find(make_result('davis', model, 'released')) is None


def test_changed_settings_are_another_protocol_without_published_scores():
  first, again, second = (
      make_result('davis', 'RVM-L', height=height) for height in (448, 448, 464)
  )
  assert published.tag(first) == published.tag(again)
  assert published.tag(first) != published.tag(second)
  assert published.tag(first).startswith('own ')
  assert published.find(first) is None


def test_settings_that_only_add_scores_do_not_matter():
  result = make_result('davis', 'RVM-L', horizons=[16])
  assert published.tag(result) == 'released'


def test_readouts_have_no_published_scores_in_our_protocol():
  result = make_result('ssv2', 'RVM-L')
  assert published.tag(result).startswith('own ')
  assert published.find(result) is None
