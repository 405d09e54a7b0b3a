r"""Scores a frozen encoder: one benchmark, one checkpoint, one result folder.

  python -m rvm_jax.evals.run --config=configs/eval_davis.py \
      --config.data_dir=/data/DAVIS --checkpoint=PATH --out=results/davis_rvm

--checkpoint names the encoder:
  PATH              a checkpoint that `rvm_jax.load` reads, such as rvm_tiny, or
                    the workdir of a run of another objective
  dinov2:PATH       weights of a rival of RVM: dinov2, dinov3, videomae, vjepa
                    or vjepa2. Frames are prepared as in the released evaluation
                    of RVM, which cuts off pixels beyond whole patches
  dinov2-fair:PATH  the same weights, with features of the whole frame;
                    docs/baselines.md describes both variants
  untrained:PATH    a baseline: the model of one of the above with newly
                    initialized parameters
  raw:16            a baseline: plain pixels in patches of 16 x 16
  truth:16          the oracle, for configs/eval_scenes.py alone: features made
                    of the ground truth of patches of 16 x 16

Sides of frames that are not multiples of the encoder's patch are refused.
--config.resize_to_patch=True replaces them by the nearest multiples. Rivals
take frames of any size, except in configs/eval_scenes.py.

A benchmark that trains a readout needs --workdir=DIR for the encoder's features
and the readout's checkpoints. If the command is stopped, the same command
continues from what is there. A workdir of another checkpoint, protocol or data
set is refused.

--out must not exist. It appears when everything is done, with

  result.json
    benchmark         key in `BENCHMARKS`
    task              title of the benchmark's column in a table
    headline          key of the score in that column
    lower_is_better   whether a lower headline is better
    columns           [task, headline, lower_is_better] for each task, if the
                      benchmark has several
    scores            name -> number; shares are percentages
    notes             sentences that a reader of the scores must know
    protocol          all settings that the benchmark was given
    model             checkpoint: the value of --checkpoint
                      name: name of the model in tables
                      identity: hash of the parameters; for an encoder without
                      any, its name
                      patch: side of a patch in pixels
                      scaling: how pixels are scaled, in words
                      variant: how frames become features, 'released' or 'fair'
                      for a rival, else empty
    workdir           folder of the readout, null if none is trained
    data              folder (null if the data are generated), num_files, and
                      manifest: a hash over the names, sizes and first 64 KiB of
                      all files that were read, or over the generated data
    versions          versions of Python, of this package and of the packages
                      that numbers depend on
    device            kind of device that the benchmark ran on
    seconds           time that this command took, reading and scoring included;
                      work of earlier commands in the workdir is not included
  rows.csv            scores of each video, clip or object
  picture_NAME.png    a few videos with ground truth and prediction

`python -m rvm_jax.evals.table results/*/result.json` makes a table of results.

Exit code: 0 done; 2 an input is wrong, a package is missing or the disk is
full; 1 any other error, such as too many broken videos, with a traceback. If
the code is not 0, nothing is written to --out.
"""

from collections.abc import Callable
import contextlib
import functools
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
from rvm_jax.evals.encoders import centering
from rvm_jax.evals.encoders import loading
from rvm_jax.evals.encoders import sizes
from rvm_jax.evals.scenes import benchmark as benchmark_lib
from rvm_jax.runtime import errors
from rvm_jax.runtime import lock
from rvm_jax.training import logs


class Benchmark(NamedTuple):
  """How a benchmark is called.

  Attributes:
    evaluate: function that runs the benchmark and returns its report. Its first
      argument is the encoder. `data_dir` and `workdir`, if the benchmark needs
      them, and the protocol's settings are keyword arguments.
    trains: whether it trains a readout and so needs a `workdir`.
    generates: whether it generates its data and so needs no `data_dir`.
    needs_whole_patches: whether frames must be whole patches, even for encoders
      that take any size.
  """

  evaluate: Callable[..., report_lib.Report]
  trains: bool = False
  generates: bool = False
  needs_whole_patches: bool = False


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
    'scenes': Benchmark(
        benchmark_lib.evaluate, generates=True, needs_whole_patches=True
    ),
}
# Packages whose versions are saved with a result.
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
  """Runs the benchmark that the flags name; returns the exit code."""
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
  except RuntimeError as error:
    logging.debug('The error below was raised here.', exc_info=True)
    print(f'error: {error}', file=sys.stderr)
    return 1
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
  """Runs a benchmark and writes its report.

  Args:
    checkpoint: name of the encoder, described in `encoders.loading.load`.
    out: path of the result's folder, which must not exist.
    workdir: folder for features and checkpoints; None if the benchmark trains
      no readout.
    benchmark: a key of `BENCHMARKS`.
    data_dir: folder of the data set; None if the data are generated.
    resize_to_patch: whether sizes of frames that the encoder's patch does not
      divide are replaced by the nearest that it does; else they are refused.
    protocol: the benchmark's settings.

  Returns:
    The report, which has been written to `out`.

  Raises:
    FileExistsError: `out` exists.
    FileNotFoundError: the checkpoint or a file of the data set is missing.
    OSError: another process uses the workdir, or a folder cannot be written.
    ImportError: a package must be installed; the message says which.
    TypeError: a setting of the protocol is missing or unknown.
    ValueError: the benchmark does not exist, lacks a folder or is given one
      that it does not need; the encoder's patch does not divide the frames;
      files are broken; or the workdir was made with another checkpoint,
      protocol or data set.
    RuntimeError: too many videos are broken, or the loss of a readout is not
      finite.
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
  encoder = loading.load(checkpoint)
  logging.info(
      '%s (%s) on %s', encoder.name, encoder.identity, jax.devices()[0]
  )
  takes_any_size = encoder.takes_any_size and not called.needs_whole_patches
  if resize_to_patch or not takes_any_size:
    protocol = sizes.fit(
        protocol, encoder.patch, resize_to_patch=resize_to_patch
    )
  protocol = centering.settle(protocol, encoder.center_frames)
  with lock.held(workdir) if workdir else contextlib.nullcontext():
    report = called.evaluate(encoder, **folders, **protocol)
  os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
  about = {
      'benchmark': benchmark,
      'protocol': protocol,
      'model': {
          'checkpoint': checkpoint,
          'name': encoder.name,
          'identity': encoder.identity,
          'patch': encoder.patch,
          'scaling': encoder.scaling,
          'variant': encoder.variant,
      },
      'workdir': workdir and os.path.abspath(workdir),
      'versions': {'python': platform.python_version()}
      | {name: metadata.version(name) for name in _PACKAGES},
      'device': jax.devices()[0].device_kind,
      'seconds': round(time.perf_counter() - start, 1),
  }
  report_lib.write(report, out, data_dir, about)
  return report


if __name__ == '__main__':
  config_flags.DEFINE_config_file(
      'config',
      None,
      'Config of the benchmark, one of configs/eval_*.py.',
      lock_config=True,
  )
  flags.DEFINE_string(
      'checkpoint',
      None,
      'Encoder to score: path of a checkpoint, untrained:PATH, a rival such as'
      ' dinov2:PATH, raw:16 or truth:16.',
  )
  flags.DEFINE_string('out', None, 'New folder for the results.')
  flags.DEFINE_string(
      'workdir',
      None,
      'Folder for features and checkpoints of a readout; only for benchmarks'
      ' that train one.',
  )
  flags.mark_flags_as_required(['config', 'checkpoint', 'out'])
  app.run(main, flags_parser=functools.partial(errors.parse_flags, mistake=2))
