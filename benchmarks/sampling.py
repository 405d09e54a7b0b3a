"""Measures what a clip costs the host: repeats, and boxes for the devices.

    python benchmarks/sampling.py SOURCE...

A SOURCE is a folder, glob or manifest of videos, as a run takes it. As in
pretraining, a clip is 4 source frames in a row and 4 target frames, 4 to 48
frames after the last source frame, from a random crop. It is cut in these ways:
  R = 1, 2, 4, 8  `config.data.repeats`: R clips of each record that is read.
  boxes           `config.data.box_height`: boxes are cut out of the decoded
                  frames, and devices would resize them. R is 1.
All ways read the same records and take turns in one process, with one thread.

For each source and size a line is printed. For each way it has the milliseconds
of CPU time for a clip and, in brackets, the clips per second of a core relative
to R = 1. Then come the share of reading (decoding and conversion to RGB) in the
time of R = 1; the share of boxes that are small enough for devices; and the
bytes of a clip of boxes relative to those of a resized clip.
"""

import argparse
import dataclasses
import time

import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import sampler as sampler_lib
from rvm_jax.data import sources as sources_lib

# Frames of a clip, as in configs/rvm_base.py.
SPACING = frame_sampling.Spacing(
    num_source=4, num_target=4, stride=1, min_gap=4, max_gap=48
)


class Timed:
  """A source that counts the CPU seconds that reading frames takes.

  Attributes:
    seconds: CPU seconds so far.
  """

  def __init__(self, source: sources_lib.Videos):
    self._source = source
    self.seconds = 0.0

  def __getitem__(self, number: int):
    record = self._source[number]

    def read(numbers):
      start = time.process_time()
      frames = record.read(numbers)
      self.seconds += time.process_time() - start
      return frames

    return dataclasses.replace(record, read=read)


def measure(
    videos: sources_lib.Videos,
    size: int,
    repeats: list[int],
    room: tuple[int, int],
    num_records: int,
) -> tuple[dict[str, float], float, float]:
  """Measures all ways on records of a source.

  Args:
    videos: the source.
    size: height and width of the clips in pixels.
    repeats: the values of R, the number of clips that are cut from a record.
    room: greatest height and width in pixels of a box that a device resizes.
    num_records: number of records to read.

  Returns:
    The CPU seconds of a clip for each way; the CPU seconds that reading takes
    for a clip in the first way; and the share of boxes, in [0, 1], that are
    small enough for devices.
  """
  source = Timed(videos)
  # Crops and flips as in configs/rvm_base.py.
  crop = (SPACING, size, size, (0.3, 1.0), (0.75, 1.25), 0.5)
  # This sampler resizes on the host.
  here = sampler_lib.Sampler(0, source, *crop)
  ways = {f'R={count}': (here, count) for count in repeats}
  ways['boxes'] = sampler_lib.Sampler(0, source, *crop, room), 1
  numbers = np.random.default_rng(0).integers(len(videos), size=num_records)
  spent = dict.fromkeys(ways, 0.0)
  reading, num_boxes = 0.0, 0
  first = next(iter(ways))
  for turn, number in enumerate(numbers.tolist()):
    # Another way is first in each turn.
    shift = turn % len(ways)
    for way in list(ways)[shift:] + list(ways)[:shift]:
      sampler, count = ways[way]
      before = source.seconds
      start = time.process_time()
      samples = sampler.cut(number, np.random.default_rng(turn), count)
      spent[way] += (time.process_time() - start) / count
      if way == first:
        reading += (source.seconds - before) / count
      if way == 'boxes':
        # A box that is too large was resized here and has the clip's size.
        num_boxes += samples['box_size'][0].tolist() != [size, size]
  spent = {way: seconds / num_records for way, seconds in spent.items()}
  return spent, reading / num_records, num_boxes / num_records


def main():
  """Measures the sources of the command line and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('sources', nargs='+', metavar='SOURCE')
  parser.add_argument(
      '--repeats', type=int, nargs='+', default=[1, 2, 4, 8], help='values of R'
  )
  parser.add_argument(
      '--sizes', type=int, nargs='+', default=[256, 64], help='pixels of clips'
  )
  parser.add_argument(
      '--box',
      type=int,
      nargs=2,
      default=[288, 360],
      metavar=('HEIGHT', 'WIDTH'),
      help='greatest box in pixels that devices resize',
  )
  parser.add_argument(
      '--num_records', type=int, default=20, help='records that are read'
  )
  options = parser.parse_args()
  room = tuple(options.box)
  for place in options.sources:
    videos = sources_lib.Videos(place, SPACING, max_bad_share=1.0)
    for size in options.sizes:
      spent, reading, share = measure(
          videos, size, options.repeats, room, options.num_records
      )
      first = next(iter(spent.values()))
      row = '  '.join(
          f'{way}: {1e3 * seconds:.1f} ({first / seconds:.2f})'
          for way, seconds in spent.items()
      )
      print(
          f'{place} at {size}:  {row}  reading {reading / first:.0%}; boxes'
          f' {share:.0%}, {room[0] * room[1] / size**2:.2f} times the bytes',
          flush=True,
      )


if __name__ == '__main__':
  main()
