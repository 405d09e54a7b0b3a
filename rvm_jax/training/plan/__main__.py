"""Plans a run before it is launched.

  python -m rvm_jax.training.plan --config=configs/rvm_large.py \
      --topology=v6e:16x16

It prints a table: the memory of a device, bounds of the time of a step, the
collectives, and how much data each host has to read. The step is compiled by
the compiler of the devices, on any machine, which takes minutes. For TPUs
install the extra `tpu-plan`, for GPUs `gpu-plan`. If the compiler is not
installed, or with --formula, a formula estimates the memory. Settings of the
config are set as for `rvm_jax.main`, such as --config.fsdp=8.

Exit codes:
  0: the step fits into memory.
  1: the step does not fit, or there was an error.
"""

import functools
import json
import os
import sys

from absl import app
from absl import flags
from absl import logging
import jax
from ml_collections import config_flags

from rvm_jax import config as config_lib
from rvm_jax.runtime import errors
from rvm_jax.storage import files
from rvm_jax.training.plan import planning
from rvm_jax.training.plan import tables
from rvm_jax.training.plan import topologies

_CONFIG = config_flags.DEFINE_config_file(
    'config',
    None,
    'Path of the config of the run, such as configs/rvm_base.py.',
    lock_config=True,
)
_TOPOLOGY = flags.DEFINE_string(
    'topology',
    None,
    'Devices of the run, such as v6e:16x16 (a slice of 256 TPUs), 2xv6e:16x16'
    ' (two such slices) or h100:8 (a machine with 8 GPUs).',
    required=True,
)
_FORMULA = flags.DEFINE_bool(
    'formula', False, 'Estimate the memory by a formula; compile nothing.'
)
_SEARCH = flags.DEFINE_bool(
    'search',
    False,
    'Search for the remat, fsdp and num_microbatches that fit into memory and'
    ' cost the least time; those of the config are ignored.',
)
_CORE_RATE = flags.DEFINE_float(
    'clips_per_core_second',
    None,
    'Clips a second that a core of a host reads, as measured by'
    ' benchmarks/input_pipeline.py: the plan then says how many cores each chip'
    ' needs.',
    lower_bound=1e-9,
)
_JSON = flags.DEFINE_string(
    'json',
    None,
    'File that the numbers of the plan are written to as JSON. It must not'
    ' exist.',
)


def main(argv: list[str]):
  """Plans the run that the flag --config describes."""
  # Nothing is computed, so that no accelerator is needed or occupied.
  jax.config.update('jax_platforms', 'cpu')
  logging.set_verbosity(logging.WARNING)
  with errors.Reports():
    if len(argv) > 1:
      raise ValueError(f'unexpected arguments: {argv[1:]}')
    config = _CONFIG.value
    config_lib.check_repeats(flags.FLAGS, sys.argv)
    config_lib.check_settings(config)
    topology = topologies.find(_TOPOLOGY.value)
    if _JSON.value and os.path.exists(_JSON.value):
      raise FileExistsError(
          f'--json={_JSON.value} exists and is not replaced; delete it or give'
          ' another path'
      )
    plan_run = planning.find if _SEARCH.value else planning.make
    plan = plan_run(
        config,
        config_flags.get_config_filename(flags.FLAGS['config']),
        topology,
        is_compiled=not _FORMULA.value,
    )
    plan = plan._replace(core_rate=_CORE_RATE.value)
    print(tables.to_markdown(plan))
    if _JSON.value:
      with files.write_whole(_JSON.value) as path, open(path, 'w') as file:
        json.dump(tables.to_json(plan), file, indent=2)
  sys.exit(0 if plan.is_fitting else 1)


if __name__ == '__main__':
  flags.mark_flag_as_required('config')
  app.run(
      main,
      flags_parser=functools.partial(
          errors.parse_flags, read=config_lib.parse_flags
      ),
  )
