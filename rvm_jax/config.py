"""Checks the values of a config before any data are opened.

Settings that only one objective reads are checked by that objective.
"""

import ml_collections

# Least number of generated scenes for the evaluation during training. Readouts
# are fitted to three quarters of the scenes and tested on the rest, at least 4.
MIN_EVAL_SCENES = 16


def validate(config: ml_collections.ConfigDict, num_batch_shards: int):
  """Checks the settings that are common to all objectives.

  Args:
    config: the run's config, as in configs/rvm_base.py.
    num_batch_shards: number of parts that a batch is split into, one for each
      device of all processes.

  Raises:
    ValueError: settings conflict. The message names the key, its value and, if
      there is one, the value to use.
  """
  data, optimizer = config.data, config.optimizer
  for key, value in (
      ('num_steps', config.num_steps),
      ('num_microbatches', config.num_microbatches),
      ('log_every', config.log_every),
      ('eval_every', config.eval_every),
      ('data.batch_size', data.batch_size),
      ('data.num_source', data.num_source),
      ('data.num_target', data.num_target),
      ('data.stride', data.stride),
      ('data.min_gap', data.min_gap),
      ('checkpoint.save_every', config.checkpoint.save_every),
      ('checkpoint.keep_last', config.checkpoint.keep_last),
      ('checkpoint.keep_every', config.checkpoint.keep_every),
  ):
    if value < 1:
      raise ValueError(f'config.{key}={value} must be at least 1')

  if config.max_step_seconds is not None and config.max_step_seconds <= 0:
    raise ValueError(
        f'config.max_step_seconds={config.max_step_seconds} must be positive,'
        ' or not set'
    )
  if config.num_eval_scenes < MIN_EVAL_SCENES:
    raise ValueError(
        f'config.num_eval_scenes={config.num_eval_scenes} must be at least'
        f' {MIN_EVAL_SCENES}: readouts are fitted to three quarters of the'
        ' scenes and tested on the rest'
    )
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
  if config.spikes.policy not in ('none', 'skip', 'stop'):
    raise ValueError(
        f'config.spikes.policy={config.spikes.policy!r} must be none, skip or'
        ' stop'
    )
  if config.spikes.window < 2:
    raise ValueError(
        f'config.spikes.window={config.spikes.window} must be at least 2'
    )
  # With less, a level that has changed might never be accepted.
  if not config.spikes.sigmas >= 1:
    raise ValueError(
        f'config.spikes.sigmas={config.spikes.sigmas} must be at least 1'
    )
  if optimizer.warmup_steps >= config.num_steps:
    raise ValueError(
        f'config.optimizer.warmup_steps={optimizer.warmup_steps} must be below'
        f' config.num_steps={config.num_steps}'
    )
