"""Scores a frozen encoder: one benchmark, one checkpoint, one folder.

  python -m rvm_jax.evals.run --config=configs/eval_davis.py \\
      --config.data_dir=/data/DAVIS --checkpoint=PATH --out=results/davis_rvm

--checkpoint is whatever `rvm_jax.load` reads; or a floor to compare with,
untrained:PATH (fresh parameters of that checkpoint's sizes) or raw:16 (plain
pixels in patches of 16 a side). truth:16 is a ceiling, for scenes: features
made of what is true of such patches.

A benchmark that trains a readout needs --workdir=DIR, for the encoder's
features and the readout's checkpoints: stopped in whatever way, the same
command goes on from them. A workdir of another checkpoint, protocol or data is
refused.

--out must not exist; it appears when all is done, with
  result.json
    benchmark         the key in `BENCHMARKS`
    task, headline    the column in a table, and the score that stands there
    lower_is_better   of that score
    columns           of a benchmark of several tasks: these three of each
    scores            name -> number; shares are percentages
    notes             what a reader of the scores must know
    protocol          all settings, as the benchmark was given them
    model             checkpoint as given; name, identity (a hash of the
                      parameters), patch, scaling of pixels
    workdir           of the readout, null where none is trained
    data              folder (null where the data are generated), num_files,
                      manifest (a hash over the names, sizes and first 64 KiB of
                      all files that were read, or over what was generated)
    versions          of Python, this package and those that decide numbers
    device            what it ran on
    seconds           that this call took, reading and scoring included; not
                      those of calls before it whose work it went on with
  rows.csv            scores of each object (DAVIS) or video
  picture_NAME.png    a few videos, truth and prediction
`python -m rvm_jax.evals.table results/*/result.json` makes a table of them.

Exit code: 0 done; 2 an input is wrong, a package is missing or the disk full,
and there is nothing at --out.
"""

from collections.abc import Callable
from importlib import metadata
import os
import platform
import sys
import time
from typing import Any, NamedTuple

from absl import app
from absl import flags
from absl import logging
import jax
from ml_collections import config_flags

from rvm_jax.evals import report as report_lib
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.benchmarks import davis
from rvm_jax.evals.benchmarks import jhmdb
from rvm_jax.evals.benchmarks import kinetics
from rvm_jax.evals.benchmarks import perception_test
from rvm_jax.evals.benchmarks import scannet
from rvm_jax.evals.benchmarks import ssv2
from rvm_jax.evals.benchmarks import vip
from rvm_jax.evals.benchmarks import waymo
from rvm_jax.evals.encoders import loading
from rvm_jax.evals.encoders import sizes
from rvm_jax.evals.scenes import benchmark as benchmark_lib
from rvm_jax.training import logs


class Benchmark(NamedTuple):
  """How a benchmark is called.

  Attributes:
    evaluate: takes the model, by their names `data_dir` and `workdir` as far as
      it needs them, and the protocol's settings; gives a report.
    trains: a readout, for which it needs a workdir.
    generates: its data, for which it needs no folder.
  """

  evaluate: Callable[..., report_lib.Report]
  trains: bool = False
  generates: bool = False


BENCHMARKS = {
    'davis': Benchmark(davis.evaluate),
    'jhmdb': Benchmark(jhmdb.evaluate),
    'vip': Benchmark(vip.evaluate),
    'ssv2': Benchmark(ssv2.TASK.evaluate, trains=True),
    'kinetics': Benchmark(kinetics.TASK.evaluate, trains=True),
    'perception_test': Benchmark(perception_test.TASK.evaluate, trains=True),
    'waymo': Benchmark(waymo.TASK.evaluate, trains=True),
    'scannet': Benchmark(scannet.TASK.evaluate, trains=True),
    'clips': Benchmark(clips.TASK.evaluate, trains=True),
    'scenes': Benchmark(benchmark_lib.evaluate, generates=True),
}
_PACKAGES = (
    'rvm_jax',
    'jax',
    'jaxlib',
    'flax',
    'optax',
    'numpy',
    'pillow',
    'scipy',
    'av',
)


def main(argv: list[str]) -> int:
  """Runs what the flags ask for; returns the exit code."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments: {argv[1:]}', 2)
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  given = flags.FLAGS
  try:
    report = run(
        given.checkpoint, given.out, given.workdir, **given.config.to_dict()
    )
  except (ImportError, OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  for note in report.notes:
    print(f'Note: {note}')
  for line in report.lines:
    print(line)
  print(f'{report.task}: {report.scores[report.headline]:.2f}')
  print(f'Wrote {given.out}')
  return 0


def run(
    checkpoint: str,
    out: str,
    workdir: str | None = None,
    *,
    benchmark: str,
    data_dir: str | None = None,
    resize_to_patch: bool = False,
    protocol: dict[str, Any],
) -> report_lib.Report:
  """Runs a benchmark and writes what it found.

  Args:
    checkpoint: see `encoders.loading.load`.
    out: new folder.
    workdir: for features and checkpoints, where a readout is trained.
    benchmark: a key of `BENCHMARKS`.
    data_dir: folder of the data set, unless it is generated.
    resize_to_patch: whether sizes of frames that the encoder's patch does not
      divide are replaced by the nearest that it does; else they are refused.
    protocol: the benchmark's settings.

  Raises:
    FileExistsError: there is something at `out`.
    FileNotFoundError: no checkpoint there, or the data set lacks a file.
    ImportError: says which package to install.
    ValueError: no such benchmark, a folder that it needs is not given or one
      that it does not need is, broken files, or a workdir of something else.
  """
  if os.path.lexists(out):
    raise FileExistsError(f'{out} is there already: give --out a new folder')
  if benchmark not in BENCHMARKS:
    raise ValueError(
        f'config.benchmark must be one of {", ".join(BENCHMARKS)}, got'
        f' {benchmark!r}'
    )
  called = BENCHMARKS[benchmark]
  folders = {}
  if called.generates:
    if data_dir is not None:
      raise ValueError(f'{benchmark} generates its data: leave data_dir out')
  elif data_dir is None:
    raise ValueError('--config.data_dir must be the folder of the data set')
  else:
    folders['data_dir'] = data_dir
  if not called.trains:
    if workdir is not None:
      raise ValueError(f'{benchmark} trains nothing: leave --workdir out')
  elif workdir is None:
    raise ValueError(
        f'{benchmark} trains a readout: --workdir must be a folder for the'
        ' features and checkpoints'
    )
  else:
    folders['workdir'] = workdir
  start = time.perf_counter()
  model = loading.load(checkpoint)
  logging.info('%s (%s) on %s', model.name, model.identity, jax.devices()[0])
  protocol = sizes.fit(protocol, model.patch, resize_to_patch=resize_to_patch)
  report = called.evaluate(model, **folders, **protocol)
  os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
  about = {
      'benchmark': benchmark,
      'protocol': protocol,
      'model': {
          'checkpoint': checkpoint,
          'name': model.name,
          'identity': model.identity,
          'patch': model.patch,
          'scaling': model.scaling,
      },
      'workdir': workdir and os.path.abspath(workdir),
      'versions': {'python': platform.python_version()}
      | {name: metadata.version(name) for name in _PACKAGES},
      'device': jax.devices()[0].device_kind,
      'seconds': round(time.perf_counter() - start, 1),
  }
  report_lib.write(report, out, data_dir, about)
  return report


def _parse(argv: list[str]) -> list[str]:
  """Reads the flags; a mistake in them ends it like one in the data."""
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    print(f'error: {error}', file=sys.stderr)
  except (AttributeError, KeyError) as error:
    lacking = error.args[0] if isinstance(error, AttributeError) else error
    # A ConfigDict was asked for what it lacks; else its file is wrong.
    if not isinstance(getattr(lacking, '__context__', None), KeyError):
      raise
    text = ' '.join(lacking.args[0].split())
    print(f'error: the config lacks a setting: {text}', file=sys.stderr)
  sys.exit(2)


if __name__ == '__main__':
  config_flags.DEFINE_config_file(
      'config', None, 'The benchmark, a configs/eval_*.py.', lock_config=True
  )
  flags.DEFINE_string(
      'checkpoint', None, 'Path, untrained:PATH, raw:16 or truth:16.'
  )
  flags.DEFINE_string('out', None, 'New folder for the results.')
  flags.DEFINE_string(
      'workdir', None, 'Folder for features and checkpoints of a readout.'
  )
  flags.mark_flags_as_required(['config', 'checkpoint', 'out'])
  app.run(main, flags_parser=_parse)
