"""Lists the videos that cannot be used: python -m rvm_jax.data.check PATHS...

PATHS are folders, globs, manifests (.csv) or videos. The command prints each
bad file with the reason, then the files that are usable in part, then a
summary. It adds the usable videos to the index, so that a run on them starts at
once.

Exit code: 0 if all videos are good, 1 if some are bad, 2 if none is usable or
the arguments are wrong.
"""

import argparse
import collections
from collections.abc import Sequence
import sys

from rvm_jax.data.video import index
from rvm_jax.data.video import listing


def main(arguments: Sequence[str] | None = None) -> int:
  """Checks videos and prints what is wrong with them.

  Args:
    arguments: the command line; None for that of this process.

  Returns:
    The exit code.
  """
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.data.check',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('paths', nargs='+', metavar='PATHS')
  parser.add_argument(
      '--min_frames', type=int, default=1, help='a shorter video is bad'
  )
  options = parser.parse_args(arguments)
  try:
    paths = [clip.path for path in options.paths for clip in listing.find(path)]
  except ValueError as error:
    print(error, file=sys.stderr)
    return 2
  good, bad = index.build(paths)
  for path, summary in list(good.items()):
    if summary.num_frames < options.min_frames:
      del good[path]
      bad[path] = (
          f'too short: {summary.num_frames} frames, needs {options.min_frames}'
      )
  for path, reason in sorted(bad.items()):
    print(f'bad    {path}: {reason}')
  for path, summary in sorted(good.items()):
    if summary.note:
      print(f'usable {path}: {summary.note}')
  _print_summary(good, bad)
  return 2 if not good else 1 if bad else 0


def _print_summary(good: dict[str, index.Summary], bad: dict[str, str]):
  """Prints how many videos, frames and hours there are, and of what kinds."""
  num_frames = sum(summary.num_frames for summary in good.values())
  seconds = sum(
      summary.num_frames / summary.frame_rate for summary in good.values()
  )
  sizes = collections.Counter(
      f'{summary.width}x{summary.height}' for summary in good.values()
  )
  rates = collections.Counter(
      f'{summary.frame_rate:.4g}' for summary in good.values()
  )
  print(f'{len(good)} good, {len(bad)} bad')
  print(f'{num_frames} frames, {seconds / 3600:.3g} hours')
  print(f'sizes: {_ranking(sizes)}')
  print(f'frames per second: {_ranking(rates)}')


def _ranking(counts: collections.Counter) -> str:
  """Returns the eight most frequent names with their counts, for people."""
  shown = [f'{name} ({count})' for name, count in counts.most_common(8)]
  rest = len(counts) - len(shown)
  return ', '.join(shown + ([f'{rest} others'] if rest else [])) or 'none'


if __name__ == '__main__':
  sys.exit(main())
