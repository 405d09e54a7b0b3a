"""Packs videos: python -m rvm_jax.data.shards SOURCES... --out=DIR.

SOURCES are folders, globs, manifests (.csv), videos, or sets that
tensorflow-datasets prepared (tfds:DIR). A folder of numbered pictures
(bear/00000.jpg, ...) is one video. The videos are cut into clips, reduced in
size, and stored in DIR in files called shards. DIR is a data set of
tensorflow-datasets, which `tfds.builder_from_directory(DIR)` opens; reading a
few frames of a clip from it is fast.

If the command is interrupted, run it again: it keeps the shards that are
complete and packs the others. Run on a complete DIR, it compares the hashes of
all shards and packs damaged ones again. Several hosts divide the shards among
themselves with --shard=0/4, --shard=1/4 and so on; the host that finishes last
completes DIR. docs/shards.md is a guide.

Exit code: 0 if the work of this host is done, 2 if it is not.
"""

import argparse
import collections
from collections.abc import Sequence
import os
import sys

import tqdm

from rvm_jax.data import shares
from rvm_jax.data.shards import completion
from rvm_jax.data.shards import layout
from rvm_jax.data.shards import packing
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import processes
from rvm_jax.data.shards import schema

# For each format: least quality, greatest quality and default quality.
_QUALITIES = {'jpeg': (1, 95, 90), 'mp4': (0, 51, 18)}


def main(arguments: Sequence[str] | None = None) -> int:
  """Packs videos.

  Args:
    arguments: the command line; None for that of this process.

  Returns:
    The exit code.
  """
  parser = _make_parser()
  options = parser.parse_args(arguments)
  settings, host, num_hosts = _check(parser, options)
  try:
    schema.features()
    videos = plan.list_videos(options.sources)
    num_shards = options.num_shards or plan.count_shards(len(videos))
    plan.claim(options.out, settings, num_shards, videos)
    tasks = [
        packing.Task(
            layout.list_paths(options.out, number, num_shards),
            settings,
            videos[number::num_shards],
        )
        for number in range(host, num_shards, num_hosts)
    ]
    _pack(tasks, options.workers)
    contents = completion.complete(
        options.out, num_shards, settings, options.sources
    )
  except (ValueError, OSError, ImportError, RuntimeError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('interrupted: run the same command again to go on', file=sys.stderr)
    return 2
  if contents is None:
    print(
        f'this host has packed its {len(tasks)} of {num_shards} shards; the'
        f' host that finishes last completes {options.out}'
    )
  else:
    print(completion.describe(contents['statistics']))
    print(f'{options.out} is complete: {num_shards} shards')
  return 0


def _pack(tasks: Sequence[packing.Task], num_workers: int):
  """Packs shards in several processes, and shows how many videos are done."""
  waiting = collections.deque(tasks)
  num_done = {task.paths: 0 for task in tasks}
  total = sum(len(task.videos) for task in tasks)
  with tqdm.tqdm(desc='packing', total=total, unit=' videos') as bar:
    num_workers = min(num_workers, len(tasks))
    for task, message in processes.run(packing.pack, waiting, num_workers):
      before = num_done[task.paths]
      if isinstance(message, processes.Crash):
        if before == len(task.videos):
          raise RuntimeError(
              f'{message.name} ended the process that packed'
              f' {task.paths.records}, after its last video'
          )
        # The video that was being packed is left out, and its shard is packed
        # again from the beginning.
        waiting.append(task.without(before))
        num_done[task.paths] = 0
      elif isinstance(message, dict):
        num_done[task.paths] = len(task.videos)
      else:
        num_done[task.paths] = message
      bar.update(num_done[task.paths] - before)


def _make_parser() -> argparse.ArgumentParser:
  """Returns the parser of the command line."""
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.data.shards',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add('sources', nargs='+', metavar='SOURCES')
  add('--out', required=True, metavar='DIR', help='folder to write to')
  add(
      '--format',
      choices=plan.FORMATS,
      default='jpeg',
      help='a JPEG file for each frame, or an mp4 file for each clip (default:'
      ' %(default)s)',
  )
  add(
      '--quality',
      type=int,
      help='for jpeg 1 to 95 (default: 90); for mp4 the CRF of the encoder, 0'
      ' (best) to 51 (default: 18)',
  )
  add(
      '--short_side',
      type=int,
      default=288,
      help='reduce larger frames so that their shorter side has this many'
      ' pixels; smaller frames keep their size (default: %(default)s)',
  )
  add(
      '--clip_frames',
      type=int,
      default=64,
      help='number of frames of a clip (default: %(default)s)',
  )
  add(
      '--min_frames',
      type=int,
      default=16,
      help='leave out the last clip of a video, or of a shot, if it has fewer'
      ' frames (default: %(default)s)',
  )
  add(
      '--cuts',
      action='store_true',
      help="end clips at scene cuts; needs pip install 'rvm_jax[cuts]'",
  )
  add(
      '--num_shards',
      type=int,
      help='number of shards (default: one for each 64 videos, but at least 16,'
      ' and no more than there are videos)',
  )
  add(
      '--workers',
      type=int,
      default=_count_cores(),
      help='number of processes (default: one for each core); with 1, a video'
      ' that crashes the decoder ends the command',
  )
  add(
      '--shard',
      default='0/1',
      metavar='I/N',
      help='pack the part of the shards that falls to host I of N hosts, where'
      ' I counts from 0 (default: all shards)',
  )
  return parser


def _count_cores() -> int:
  """Returns the number of cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _check(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> tuple[plan.Settings, int, int]:
  """Checks the options, and ends the command if one is wrong.

  Args:
    parser: the parser, which prints what is wrong.
    options: the options that it has parsed.

  Returns:
    The settings, the number of this host counted from 0, and the number of
    hosts.
  """
  for name in ('short_side', 'clip_frames', 'min_frames', 'workers'):
    if getattr(options, name) < 1:
      parser.error(f'--{name} must be at least 1, got {getattr(options, name)}')
  if options.num_shards is not None and options.num_shards < 1:
    parser.error(f'--num_shards must be at least 1, got {options.num_shards}')
  if options.min_frames > options.clip_frames:
    parser.error(
        f'--min_frames={options.min_frames} must be at most'
        f' --clip_frames={options.clip_frames}'
    )
  least, greatest, default = _QUALITIES[options.format]
  quality = default if options.quality is None else options.quality
  if not least <= quality <= greatest:
    parser.error(
        f'--quality must be {least} to {greatest} for {options.format}, got'
        f' {quality}'
    )
  try:
    host, num_hosts = shares.parse(options.shard)
  except ValueError as error:
    parser.error(f'--shard {error}')
  settings = plan.Settings(
      format=options.format,
      quality=quality,
      short_side=options.short_side,
      clip_frames=options.clip_frames,
      min_frames=options.min_frames,
      cuts=options.cuts,
  )
  return settings, host, num_hosts


if __name__ == '__main__':
  sys.exit(main())
