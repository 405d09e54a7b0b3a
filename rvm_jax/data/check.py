"""Lists the videos that cannot be used: python -m rvm_jax.data.check PATHS...

PATHS are folders, globs, manifests (.csv), videos, packed sets, or tfds:DIR for
a set that tensorflow-datasets prepared. A folder of numbered pictures
(bear/00000.jpg, ...) is one video, whose frame rate counts as 25 a second. Each
row of a manifest is a clip of its own, from its start to its end; without a
manifest each video is one clip. The command prints each bad clip with the
reason, then the files that are usable in part, then a summary of the clips. It
adds the usable videos to the index, so that a run on them starts at once.

Several machines can share the work, one with --shard=0/4, one with --shard=1/4
and so on, if the videos have the same paths on all of them. Each machine writes
an index to its own disk, a file videos-*.sqlite3 in $XDG_CACHE_HOME/rvm_jax
(~/.cache/rvm_jax). Copy these files to one machine and run the command there
with --merge=FILE for each file: no video in a merged index is decoded again.
Then copy the merged index to every machine of the run. A packed set is checked
by one machine.

The command reads every record of a packed set (`rvm_jax.data.shards`). Each
damaged record is a bad clip. A file of the set that has changed since it was
packed counts as bad too.

Exit code: 0 if all clips are good, 1 if some are bad, 2 if none is usable or
the arguments are wrong.
"""

import argparse
import collections
from collections.abc import Sequence
import sys
from typing import NamedTuple

from rvm_jax.data import shares
from rvm_jax.data import spans
from rvm_jax.data.shards import catalog
from rvm_jax.data.shards import damage as damage_lib
from rvm_jax.data.video import index
from rvm_jax.data.video import listing
from rvm_jax.data.video import merging


class _Content(NamedTuple):
  """What the summary counts of a good clip.

  Attributes:
    num_frames: number of frames.
    frame_rate: frames per second.
    height: height of the frames in pixels.
    width: width of the frames in pixels.
  """

  num_frames: int
  frame_rate: float
  height: int
  width: int


def main(arguments: Sequence[str] | None = None) -> int:
  """Checks videos and prints what is wrong with them.

  Args:
    arguments: the command line; None for that of this process.

  Returns:
    The exit code.
  """
  options = _parse(arguments)
  number, count = options.shard
  # List the clips, each once even if several of the paths list it, and check
  # this machine's part of the packed sets.
  try:
    num_added = merging.merge(options.merge)
    sets = {path for path in options.paths if catalog.is_packed(path)}
    clips = {
        clip.name: clip
        for path in options.paths
        if path not in sets
        for clip in listing.find(path)
    }
    packed = [
        _check_set(path, options.min_frames, options.frame_rate)
        for path in sorted(sets)[number::count]
    ]
  except (ValueError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  if options.merge:
    print(f'{num_added} videos added to {index.database()}')
  # Check this machine's part of the videos, and print what was found.
  chosen = _choose(list(clips.values()), number, count)
  good, bad = spans.find(chosen, options.min_frames, options.frame_rate)
  contents = [
      _Content(
          span.num_frames,
          span.summary.frame_rate,
          span.summary.height,
          span.summary.width,
      )
      for span in good
  ]
  for more_contents, more_bad in packed:
    contents += more_contents
    bad += more_bad
  for reason in bad:
    print(f'bad    {reason}')
  notes = {span.clip.path: span.summary.note for span in good}
  for path, note in notes.items():
    if note:
      print(f'usable {path}: {note}')
  _print_summary(contents, len(bad))
  return 0 if not bad else 1 if contents else 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
  """Returns the options of a command line; ends the process if they are wrong.

  Args:
    arguments: the command line; None for that of this process.
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
  parser.add_argument(
      '--shard',
      default='0/1',
      metavar='I/N',
      help='check part I of N of the videos, counted from 0 (default: all)',
  )
  parser.add_argument(
      '--merge',
      action='append',
      default=[],
      metavar='FILE',
      help='index of another machine to add to that of this one; may be given'
      ' several times',
  )
  options = parser.parse_args(arguments)
  if options.min_frames < 1:
    parser.error(f'--min_frames must be at least 1, got {options.min_frames}')
  if options.frame_rate is not None and not options.frame_rate > 0:
    parser.error(f'--frame_rate must be positive, got {options.frame_rate}')
  try:
    options.shard = shares.parse(options.shard)
  except ValueError as error:
    parser.error(f'--shard {error}')
  return options


def _choose(
    clips: Sequence[listing.Clip], number: int, count: int
) -> list[listing.Clip]:
  """Returns the clips of a shard.

  All clips of a video are in one shard, so that one machine decodes it.

  Args:
    clips: the clips of all shards.
    number: number of the shard.
    count: number of shards.
  """
  paths = dict.fromkeys(clip.path for clip in clips)
  chosen = set(list(paths)[number::count])
  return [clip for clip in clips if clip.path in chosen]


def _check_set(
    place: str, min_frames: int, frame_rate: float | None
) -> tuple[list[_Content], list[str]]:
  """Reads a whole packed set.

  Args:
    place: folder of the set.
    min_frames: a clip with fewer frames is bad.
    frame_rate: rate at which `min_frames` counts, in frames per second; None
      for each video's own.

  Returns:
    What the good clips hold, and one sentence for each bad clip or file.

  Raises:
    ValueError: the folder is not a packed set that can be read.
  """
  found = catalog.read(place)
  needed = found.count_needed(min_frames, frame_rate)
  damage = list(damage_lib.find(found))
  is_good = found.nums_frames >= needed
  is_good[[clip for clip, _ in damage if clip is not None]] = False
  columns = found.nums_frames, found.rates, found.heights, found.widths
  contents = map(_Content, *(column[is_good].tolist() for column in columns))
  reasons = found.describe_short(needed) + [text for _, text in damage]
  return list(contents), reasons


def _print_summary(good: list[_Content], num_bad: int):
  """Prints the numbers of clips, frames and hours, and the sizes and rates.

  Args:
    good: what the good clips hold.
    num_bad: number of bad clips.
  """
  num_frames = sum(clip.num_frames for clip in good)
  seconds = sum(clip.num_frames / clip.frame_rate for clip in good)
  sizes = collections.Counter(f'{clip.width}x{clip.height}' for clip in good)
  rates = collections.Counter(f'{clip.frame_rate:.4g}' for clip in good)
  print(f'{len(good)} good, {num_bad} bad')
  print(f'{num_frames} frames, {seconds / 3600:.3g} hours')
  print(f'sizes: {_ranking(sizes)}')
  print(f'frames per second: {_ranking(rates)}')


def _ranking(counts: collections.Counter) -> str:
  """Returns the eight most frequent names with their counts, to print."""
  shown = [f'{name} ({count})' for name, count in counts.most_common(8)]
  rest = len(counts) - len(shown)
  return ', '.join(shown + ([f'{rest} others'] if rest else [])) or 'none'


if __name__ == '__main__':
  sys.exit(main())
