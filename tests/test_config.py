"""Configs keep the rules of settings, and wrong settings are explained."""

import importlib
import inspect
import pathlib

from absl import flags
import jax
from ml_collections import config_dict
from ml_collections import config_flags
import numpy as np
import pytest

from configs import rvm_base
from configs import rvm_small
from configs.mixtures import rvm_paper
from rvm_jax import config as config_lib
from rvm_jax.data import pipeline
from rvm_jax.models import rvm
from rvm_jax.training import checkpoints
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training.objectives import pretraining
from tests import tiny

FOLDER = pathlib.Path(__file__).parents[1] / 'configs'
# Configs of RVM, and of the objectives that it is compared with.
CONFIGS = sorted(path.stem for path in FOLDER.glob('rvm_*.py'))
RIVALS = sorted(
    path.stem
    for path in FOLDER.glob('*.py')
    if path.stem.split('_')[0] in objectives.OBJECTIVES.keys() - {'rvm'}
)


@pytest.mark.parametrize('options', ['', 'size=small', 'folder=gs://b/packed'])
def test_mixture_is_a_valid_config_of_a_size_on_packed_sets(options):
  config = rvm_paper.get_config(options)
  config_lib.validate(config, num_batch_shards=1)
  assert sum(config.data.weights) == pytest.approx(1)
  folder = 'gs://b/packed' if 'folder' in options else '/data/packed'
  assert config.data.sources[0] == f'{folder}/ssv2'
  sized = rvm_small if options == 'size=small' else rvm_base
  assert config.model == sized.get_config().model


@pytest.mark.parametrize('options', ['large', 'size=tiny', 'root=/x', 'size='])
def test_other_options_of_the_mixture_are_refused(options):
  with pytest.raises(ValueError, match='expected'):
    rvm_paper.get_config(options)


@pytest.mark.parametrize('name', CONFIGS + RIVALS)
def test_shipped_configs_are_valid_and_have_the_known_parameters(name):
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
      ema_decay=config.ema_decay,
  )
  state = jax.eval_shape(init, config.seed)
  _, metrics = jax.eval_shape(step, state, objective.batch)
  assert metrics['loss'].shape == ()
  counts = {
      'rvm_small': 67_480_448,
      'rvm_base': 160_270_848,
      'rvm_large': 409_069_824,
      'rvm_huge': 776_895_488,
      'siammae_small': 28_201_344,
      'videomae_base': 94_221_696,
      'vjepa_large': 325_968_256,
  }
  if name in counts:
    count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))
    assert count == counts[name]


def test_every_setting_has_a_rule_and_is_an_argument_of_what_reads_it():
  config = rvm_base.get_config()
  keys = {key for key in _keys(config) if not key.startswith('model.')}
  assert keys == set(config_lib.SETTINGS)
  assert set(config.model) == set(pretraining.MODEL_SETTINGS)
  fields = set(rvm.RVM.__dataclass_fields__) - {'parent', 'name'}
  assert set(config.model) == fields
  for group, function, others in (
      ('data', pipeline.Pipeline, {'seed', 'shard_index', 'shard_count'}),
      ('optimizer', optimizer_lib.make_optimizer, {'num_steps', 'is_core'}),
      ('checkpoint', checkpoints.Checkpoints, {'workdir'}),
  ):
    arguments = set(inspect.signature(function).parameters)
    assert set(config[group]) == arguments - others, group


@pytest.mark.parametrize('name', CONFIGS)
def test_derived_configs_add_no_keys(name):
  config = importlib.import_module(f'configs.{name}').get_config()
  assert _keys(config) == _keys(rvm_base.get_config())


@pytest.mark.parametrize('name', RIVALS)
def test_configs_of_rivals_differ_in_keys_of_the_model_alone(name):
  config = importlib.import_module(f'configs.{name}').get_config()
  found, base = (
      {key for key in _keys(x) if not key.startswith('model.')}
      for x in (config, rvm_base.get_config())
  )
  assert found == base


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
        ({'optimizer.moments_dtype': 'half'}, 'one of float32, bfloat16'),
        (
            {'optimizer.moments_dtype': 'bfloat16', 'optimizer.beta2': 0.999},
            r'beta2=0.999 must be at most 0.99 with .*moments_dtype=.bfloat16',
        ),
        ({'spikes.policy': 'skp'}, "policy='skp' must be one of none, skip, s"),
        ({'spikes.window': 1}, 'window=1 must be at least 2'),
        ({'spikes.sigmas': 0.5}, 'sigmas=0.5 must be at least 1'),
        ({'spikes.sigmas': float('nan')}, 'sigmas=nan must be a finite number'),
    ],
)
def test_validate_names_conflicts_with_their_fix(changes, message):
  config = tiny.get_config()
  config.update_from_flattened_dict(changes)
  with pytest.raises(ValueError, match=message):
    config_lib.validate(config, num_batch_shards=4)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'seed': -1}, 'config.seed=-1 must be at least 0'),
        ({'seed': 2**40}, 'must be a whole number below 2 \\*\\* 31'),
        ({'seed': True}, 'config.seed=True must be a whole number'),
        ({'data.batch_size': 2.5}, 'batch_size=2.5 must be a whole number'),
        ({'data.height': '32'}, "data.height='32' must be a whole number"),
        ({'data.num_workers': -1}, r'num_workers=-1 must be in 0\.\.1024'),
        ({'data.num_workers': 100_000}, r'must be in 0\.\.1024'),
        ({'data.prefetch': 0}, 'prefetch=0 must be at least 1'),
        ({'data.sources': ()}, 'sources=.. must be a tuple of one or more'),
        ({'data.sources': 'a'}, "sources='a' must be a tuple of one or more"),
        ({'data.sources': ('a', 3)}, 'must be a tuple of one or more texts'),
        ({'data.weights': (-1.0,)}, 'must be a tuple of numbers above 0'),
        ({'data.weights': ('x',)}, 'must be a tuple of one or more numbers'),
        ({'data.weights': (np.nan,)}, 'must be a tuple of one or more numbers'),
        ({'data.frame_rate': 0.0}, 'frame_rate=0.0 must be above 0'),
        ({'data.frame_rate': np.inf}, 'must be a finite number or None'),
        ({'data.crop_area': (0.5, 0.3)}, 'must be in order, and each in .0, 1'),
        ({'data.crop_area': (0.0, 0.3)}, 'must be in order, and each in .0, 1'),
        ({'data.crop_area': (0.3, 1.1)}, 'must be in order, and each in .0, 1'),
        ({'data.crop_area': (0.3,)}, 'must be a pair .least, greatest.'),
        ({'data.crop_aspect': (0.0, 1.0)}, 'in order, and each above 0'),
        ({'data.flip': 1.5}, r'flip=1.5 must be in \[0, 1\]'),
        ({'data.max_bad_share': -0.1}, r'max_bad_share=-0.1 must be in \[0, 1'),
        ({'mask_ratio': 1.0}, r'mask_ratio=1.0 must be in \[0, 1\)'),
        ({'optimizer.learning_rate': -1.0}, 'rate=-1.0 must be at least 0'),
        ({'optimizer.learning_rate': np.nan}, 'rate=nan must be a finite'),
        ({'optimizer.warmup_steps': -1}, 'warmup_steps=-1 must be at least 0'),
        ({'optimizer.weight_decay': -0.1}, 'weight_decay=-0.1 must be at leas'),
        ({'optimizer.beta1': 1.0}, r'beta1=1.0 must be in \[0, 1\)'),
        ({'optimizer.beta2': -0.1}, r'beta2=-0.1 must be in \[0, 1\)'),
        ({'optimizer.clip_norm': 0.0}, 'clip_norm=0.0 must be above 0'),
        ({'fsdp': 0}, 'config.fsdp=0 must be at least 1'),
        ({'checkpoint.keep_every': 0}, 'keep_every=0 must be at least 1'),
        ({'checkpoint.fresh_decoder': 'x'}, "='x' must be True or False"),
        ({'checkpoint.init_from': ''}, "init_from='' must be a text that"),
        ({'objective': None}, 'objective=None must be a text'),
        ({'data.stirde': 2}, 'data.stirde is no .* mean config.data.stride'),
        (
            {'optimiser': {'beta1': 0.5}},
            'optimiser.beta1 is no .*optimizer.beta1',
        ),
        ({'lerning_rate': 1.0}, 'did you mean config.optimizer.learning_rate'),
        ({'qqq': 1.0}, 'config.qqq is no setting$'),
        ({'data': 3}, 'config.data is no setting, but a group of settings'),
    ],
)
def test_wrong_settings_are_refused_in_one_line(changes, message):
  # The config has no fixed types, as in a config file that replaces groups.
  config = config_dict.ConfigDict(tiny.get_config().to_dict(), type_safe=False)
  config.update_from_flattened_dict(changes)
  with pytest.raises(ValueError, match=message) as error:
    config_lib.check_settings(config)
  assert '\n' not in str(error.value)


def test_missing_settings_are_named():
  config = tiny.get_config()
  del config.data.stride, config.checkpoint
  with pytest.raises(ValueError, match='lacks config.data.stride, config.chec'):
    config_lib.check_settings(config)


def test_a_config_of_another_kind_is_refused():
  with pytest.raises(ValueError, match='must return a ConfigDict, got dict'):
    config_lib.check_settings({})


def test_a_config_file_that_is_missing_is_named():
  values = flags.FlagValues()
  config_flags.DEFINE_config_file('config', flag_values=values)
  values(['main', '--config=no/such/file.py'])
  with pytest.raises(OSError, match='(?s)no/such/file.py.*No such file'):
    config_lib.check_settings(values.config)


def test_scenes_can_be_switched_off():
  config = tiny.get_config()
  config.num_eval_scenes = 0
  config_lib.validate(config, num_batch_shards=4)


def parse(*arguments):
  """Parses a command line with a config, and returns the flags."""
  arguments = ['main', f'--config={tiny.__file__}', *arguments]
  values = flags.FlagValues()
  config_flags.DEFINE_config_file(
      'config', flag_values=values, sys_argv=arguments
  )
  config_lib.parse_flags(arguments, values)
  return values, arguments


@pytest.mark.parametrize(
    'argument, message',
    [
        (
            '--config.ema_decay=none',
            r'none: .* number or None, in \[0, 1\)\. .*ema_decay = None in',
        ),
        ('--config.seed=x', 'seed=x: .* must be a whole number .* at least 0$'),
    ],
)
def test_a_flag_of_another_type_is_answered_with_what_is_allowed(
    argument, message
):
  with pytest.raises(ValueError, match=message):
    parse(argument)


def test_a_workdir_on_a_bucket_is_refused():
  config_lib.check_workdir('runs/a:b')
  for url, message in (
      ('s3://a/b', '--workdir=s3://a/b: .* or of a mounted bucket$'),
      ('gs://a/b', 'checkpoints alone .* --config.checkpoint.bucket=gs://a/b$'),
  ):
    with pytest.raises(ValueError, match=message):
      config_lib.check_workdir(url)


def test_a_setting_that_is_optional_can_be_switched_off_in_a_config():
  config = tiny.get_config()
  config.ema_decay = 0.9
  config.ema_decay = None
  config_lib.check_settings(config)


def test_a_setting_of_several_values_can_be_given_once():
  values, arguments = parse(
      "--config.data.sources=('a', 'b')", '--config.seed=1', '--config.seed=2'
  )
  config_lib.check_repeats(values, arguments)
  assert values.config.data.sources == ('a', 'b')
  assert values.config.seed == 2
  for more in (
      ['--config.data.sources=c'],
      ['-config.data.sources', 'c', '--config.data.weights=1'],
  ):
    values, arguments = parse("--config.data.sources=('a', 'b')", *more)
    with pytest.raises(ValueError) as error:
      config_lib.check_repeats(values, arguments)
    assert '--config.data.sources is given more than once' in str(error.value)
    assert """--config.data.sources="('a', 'b', 'c')""" in str(error.value)
