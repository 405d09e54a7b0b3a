"""Lists the videos that cannot be used: python -m rvm_jax.data.check PATHS...

PATHS are folders, globs, manifests (.csv) or videos. A folder of numbered
pictures (bear/00000.jpg, ...) is one video, whose frame rate counts as 25 a
second. Each row of a manifest is a clip of its own, from its start to its end;
without a manifest each video is one. The command prints each bad clip with the
reason, then the files that are usable in part, then a summary of the clips. It
adds the usable videos to the index, so that a run on them starts at once.

Exit code: 0 if all clips are good, 1 if some are bad, 2 if none is usable or
the arguments are wrong.
"""

import argparse
import collections
from collections.abc import Sequence
import sys

from rvm_jax.data import spans
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
      '--min_frames',
      type=int,
      default=1,
      help='a clip with fewer frames is bad (default: %(default)s)',
  )
  parser.add_argument(
      '--frame_rate',
      type=float,
      help='rate at which --min_frames counts, in frames per second (default:'
      " each video's own)",
  )
  options = parser.parse_args(arguments)
  if options.min_frames < 1:
    parser.error(f'--min_frames must be at least 1, got {options.min_frames}')
  if options.frame_rate is not None and not options.frame_rate > 0:
    parser.error(f'--frame_rate must be positive, got {options.frame_rate}')
  try:
    # A video that several of the paths list is one clip.
    clips = {
        clip.name: clip for path in options.paths for clip in listing.find(path)
    }
  except (ValueError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  good, bad = spans.find(clips.values(), options.min_frames, options.frame_rate)
  for reason in bad:
    print(f'bad    {reason}')
  notes = {span.clip.path: span.summary.note for span in good}
  for path, note in notes.items():
    if note:
      print(f'usable {path}: {note}')
  _print_summary(good, len(bad))
  return 2 if not good else 1 if bad else 0


def _print_summary(good: list[spans.Span], num_bad: int):
  """Prints how many clips, frames and hours there are, and of what kinds."""
  num_frames = sum(span.num_frames for span in good)
  seconds = sum(span.num_frames / span.summary.frame_rate for span in good)
  sizes = collections.Counter(
      f'{span.summary.width}x{span.summary.height}' for span in good
  )
  rates = collections.Counter(f'{span.summary.frame_rate:.4g}' for span in good)
  print(f'{len(good)} good, {num_bad} bad')
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
