"""Checks the settings of a config before any data are opened.

`SETTINGS` has a rule for each setting of a run, except for those of the group
`model`. To add a setting, add it there and to configs/rvm_base.py. The
objective checks the settings of the group `model`, and may make further checks
of the others.
"""

from collections.abc import Mapping, Sequence
import re
from typing import Any

from absl import flags
import ml_collections

from rvm_jax import rules

# Least number of generated scenes for the evaluation during training. Readouts
# are fitted to three quarters of the scenes and tested on the rest, which is
# then at least 4 scenes.
MIN_EVAL_SCENES = 16
# Largest decay rate of a moment that is stored in bfloat16. If a moment loses
# less than 2^-8 = 0.4 % of its value in a step, it may be rounded to its old
# value and never fall. At this rate it loses 1 % if the gradient is zero.
MAX_BFLOAT16_DECAY = 0.99

# The rule of each setting, except for those of the group `model`.
SETTINGS = {
    'seed': rules.COUNT_OR_ZERO,
    'objective': rules.TEXT,
    'num_steps': rules.COUNT,
    'data.sources': rules.several('texts', rules.TEXT),
    'data.weights': rules.several('numbers', rules.POSITIVE),
    'data.num_scenes': rules.COUNT,
    'data.batch_size': rules.COUNT,
    'data.num_source': rules.COUNT,
    'data.num_target': rules.COUNT,
    'data.stride': rules.COUNT,
    'data.min_gap': rules.COUNT,
    'data.max_gap': rules.COUNT,
    'data.frame_rate': rules.optional(rules.POSITIVE),
    'data.height': rules.COUNT,
    'data.width': rules.COUNT,
    'data.crop_area': rules.interval(
        rules.number('in (0, 1]', lambda x: 0 < x <= 1)
    ),
    'data.crop_aspect': rules.interval(rules.POSITIVE),
    'data.flip': rules.SHARE,
    'data.max_bad_share': rules.SHARE,
    'data.held_out_share': rules.SHARE_BELOW_ONE,
    'data.repeats': rules.COUNT,
    'data.box_height': rules.optional(rules.COUNT),
    'data.box_width': rules.optional(rules.COUNT),
    # Each worker is a process, and no host has more than 1024 cores for them.
    'data.num_workers': rules.whole(0, 1024),
    'data.prefetch': rules.COUNT,
    'mask_ratio': rules.SHARE_BELOW_ONE,
    'optimizer.learning_rate': rules.NOT_NEGATIVE,
    'optimizer.warmup_steps': rules.COUNT_OR_ZERO,
    'optimizer.final_learning_rate': rules.NOT_NEGATIVE,
    'optimizer.weight_decay': rules.NOT_NEGATIVE,
    'optimizer.core_weight_decay': rules.optional(rules.NOT_NEGATIVE),
    'optimizer.beta1': rules.SHARE_BELOW_ONE,
    'optimizer.beta2': rules.SHARE_BELOW_ONE,
    'optimizer.clip_norm': rules.POSITIVE,
    'optimizer.moments_dtype': rules.one_of('float32', 'bfloat16'),
    'spikes.policy': rules.one_of('none', 'skip', 'stop'),
    'spikes.window': rules.whole(2),
    # With a smaller number, every step might count as a spike after the
    # loss has settled at a higher level.
    'spikes.sigmas': rules.number('at least 1', lambda x: x >= 1),
    'fsdp': rules.COUNT,
    'num_microbatches': rules.COUNT,
    'ema_decay': rules.optional(rules.SHARE_BELOW_ONE),
    'gradient_dtype': rules.one_of('float32', 'bfloat16'),
    'checkpoint.save_every': rules.COUNT,
    'checkpoint.keep_last': rules.COUNT,
    'checkpoint.keep_every': rules.COUNT,
    'checkpoint.init_from': rules.optional(rules.TEXT),
    'checkpoint.fresh_decoder': rules.FLAG,
    'checkpoint.verify': rules.FLAG,
    'checkpoint.bucket': rules.optional(rules.TEXT),
    'wandb_project': rules.optional(rules.TEXT),
    'log_every': rules.COUNT,
    'eval_every': rules.COUNT,
    'max_step_seconds': rules.optional(rules.POSITIVE),
    'num_eval_scenes': rules.Rule(
        'a whole number',
        f'at least {MIN_EVAL_SCENES}, or 0 for none',
        rules.is_whole,
        lambda x: x == 0 or x >= MIN_EVAL_SCENES,
    ),
}


def parse_flags(
    argv: Sequence[str], values: flags.FlagValues = flags.FLAGS
) -> list[str]:
  """Reads the flags and the config.

  Args:
    argv: command line, beginning with the name of the program.
    values: the flags to read.

  Returns:
    The arguments that are not flags, after the name of the program.

  Raises:
    ValueError: the value of a setting does not have the setting's type. The
      message says what is allowed.
    flags.Error: a flag is unknown, missing or wrong.
  """
  try:
    return values(argv)
  except flags.IllegalFlagValueError as error:
    found = re.match(r'flag --config\.([\w.]+)=', str(error))
    if not found or found[1] not in SETTINGS:
      raise
    rule = SETTINGS[found[1]]
    message = f'{error}; it must be {", ".join(filter(None, rule[:2]))}'
    if rule.is_kind(None):
      message += (
          '. A flag cannot be None: leave it out, or write'
          f' config.{found[1]} = None in the config file'
      )
    raise ValueError(message) from error


def check_workdir(workdir: str):
  """Raises ValueError if the value of --workdir is the URL of a bucket."""
  if '://' not in workdir:
    return
  message = (
      f'--workdir={workdir}: a run writes to a folder, not to a bucket; give a'
      ' folder of a shared disk or of a mounted bucket'
  )
  if workdir.startswith('gs://'):
    message += (
        '. The checkpoints alone can be in the bucket:'
        f' --config.checkpoint.bucket={workdir}'
    )
  raise ValueError(message)


def check_settings(config: ml_collections.ConfigDict):
  """Checks each setting by itself, except for those of the group `model`.

  This needs no devices.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: a setting is unknown, missing or wrong. The message is one line
      and names the setting, its value and what is allowed. If the config file
      cannot be read, the error that reading it gave is raised.
  """
  # In place of a config that cannot be read, ml_collections gives an object
  # that raises the reason as soon as an attribute is asked for.
  if not hasattr(config, 'to_dict'):
    raise ValueError(
        'get_config() of the config file must return a ConfigDict, got'
        f' {type(config).__name__}'
    )
  found = _flatten(config)
  rules.check(
      {k: v for k, v in found.items() if k.split('.')[0] != 'model'},
      SETTINGS,
      'config.',
  )


def _flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns the values of a config by their paths, such as 'data.height'."""
  flat: dict[str, Any] = {}
  for key, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      flat |= _flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = value
  return flat


def check_repeats(values: flags.FlagValues, arguments: Sequence[str]):
  """Refuses a setting that holds several values and is given more than once.

  The flags of ml_collections would take the values of all its mentions, while
  for every other setting the last mention counts.

  Args:
    values: the parsed flags.
    arguments: the command line that they were parsed from.

  Raises:
    ValueError: there is such a setting.
  """
  arguments = values.read_flags_from_files(arguments, force_gnu=False)
  for name in values:
    if name.startswith('config.') and isinstance(values[name], flags.MultiFlag):
      pattern = re.compile(rf'--?{re.escape(name)}(=|$)')
      if sum(map(bool, map(pattern.match, arguments))) > 1:
        raise ValueError(
            f'--{name} is given more than once; give all values in one, as in'
            f' --{name}="{tuple(values[name].value)}"'
        )


def validate(config: ml_collections.ConfigDict, num_batch_shards: int):
  """Checks the settings that are common to all objectives.

  Args:
    config: the run's config, as in configs/rvm_base.py.
    num_batch_shards: number of parts that a batch is split into, one for each
      device of all processes.

  Raises:
    ValueError: settings are wrong or conflict. The message names the key, its
      value and, if there is one, the value to use.
  """
  check_settings(config)
  data, optimizer = config.data, config.optimizer
  parts = num_batch_shards * config.num_microbatches
  if data.batch_size % parts:
    below = max(data.batch_size // parts, 1) * parts
    raise ValueError(
        f'config.data.batch_size={data.batch_size} must be a multiple of'
        f' {num_batch_shards} devices x {config.num_microbatches}'
        f' microbatches; use {below} or {below + parts}'
    )
  if data.max_gap < data.min_gap:
    raise ValueError(
        f'config.data.max_gap={data.max_gap} must be at least config.data'
        f'.min_gap={data.min_gap}'
    )
  if len(data.sources) != len(data.weights):
    raise ValueError(
        f'config.data.weights={data.weights} must have one weight for each of'
        f' config.data.sources={data.sources}'
    )
  if config.checkpoint.fresh_decoder and not config.checkpoint.init_from:
    raise ValueError(
        'config.checkpoint.fresh_decoder=True needs config.checkpoint.init_from'
        ': without it all parameters are initialised anyway'
    )
  for key in ('beta1', 'beta2'):
    if (
        optimizer.moments_dtype == 'bfloat16'
        and optimizer[key] > MAX_BFLOAT16_DECAY
    ):
      raise ValueError(
          f'config.optimizer.{key}={optimizer[key]} must be at most'
          f' {MAX_BFLOAT16_DECAY} with config.optimizer.moments_dtype='
          "'bfloat16', which rounds smaller changes away; use 'float32'"
      )
  if optimizer.warmup_steps >= config.num_steps:
    raise ValueError(
        f'config.optimizer.warmup_steps={optimizer.warmup_steps} must be below'
        f' config.num_steps={config.num_steps}'
    )
