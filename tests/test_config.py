import importlib
import pathlib

import jax
import numpy as np
import pytest

from rvm_jax import config as config_lib
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import step as step_lib
from tests import tiny

CONFIGS = sorted(
    path.stem
    for path in (pathlib.Path(__file__).parents[1] / 'configs').glob('rvm_*.py')
)


@pytest.mark.parametrize('name', CONFIGS)
def test_shipped_configs_validate_and_have_the_shapes_they_say(name):
  config = importlib.import_module(f'configs.{name}').get_config()
  config_lib.validate(config, num_batch_shards=1)
  optimizer, _ = optimizer_lib.make_optimizer(
      num_steps=config.num_steps, **config.optimizer
  )
  objective = objectives.from_config(config)
  init, step = step_lib.make(
      objective,
      optimizer,
      mesh_lib.make_mesh(config.fsdp),
      num_microbatches=config.num_microbatches,
  )
  state = jax.eval_shape(init, config.seed)
  _, metrics = jax.eval_shape(step, state, objective.batch)
  assert metrics['loss'].shape == ()
  counts = {
      'rvm_small': 67_480_448,
      'rvm_base': 160_270_848,
      'rvm_large': 409_069_824,
      'rvm_huge': 776_895_488,
  }
  if name in counts:
    count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))
    assert count == counts[name]


@pytest.mark.parametrize('name', CONFIGS)
def test_derived_configs_add_no_keys(name):
  base = importlib.import_module('configs.rvm_base').get_config()
  config = importlib.import_module(f'configs.{name}').get_config()
  assert _keys(config) == _keys(base)


def _keys(config, prefix=''):
  keys = set()
  for key, value in config.items():
    nested = hasattr(value, 'items')
    keys |= _keys(value, f'{prefix}{key}.') if nested else {prefix + key}
  return keys


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'data.batch_size': 6}, 'size=6 must be a multiple of 4 devices'),
        ({'data.batch_size': 6}, 'use 4 or 8'),
        ({'data.max_gap': 3}, 'max_gap=3 must be at least .*min_gap=4'),
        ({'data.sources': ('a', 'b')}, 'one weight for each of'),
        ({'num_steps': 0}, 'num_steps=0 must be at least 1'),
        ({'num_eval_scenes': 8}, 'num_eval_scenes=8 must be at least 16'),
        ({'checkpoint.fresh_decoder': True}, 'needs .*checkpoint.init_from'),
        ({'optimizer.warmup_steps': 6}, 'must be below config.num_steps=6'),
        ({'spikes.policy': 'skp'}, "policy='skp' must be none, skip or stop"),
        ({'spikes.window': 1}, 'window=1 must be at least 2'),
        ({'spikes.sigmas': 0.5}, 'sigmas=0.5 must be at least 1'),
        ({'spikes.sigmas': float('nan')}, 'sigmas=nan must be at least 1'),
    ],
)
def test_validate_names_conflicts_with_their_fix(changes, message):
  config = tiny.get_config()
  config.update_from_flattened_dict(changes)
  with pytest.raises(ValueError, match=message):
    config_lib.validate(config, num_batch_shards=4)
