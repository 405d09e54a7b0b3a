"""Measures repeated sampling: clips per second of a core for R clips a read.

    python benchmarks/repeats.py SOURCE...

A source is a folder, glob or manifest, as a run takes it. As in pretraining, a
clip is 4 source frames in a row and 4 target frames, 4 to 48 frames after the
last source frame, cropped and resized. With R repeats, R such clips are cut
from each record that is read. All settings read the same records and take turns
in one process, with one thread each.

The table has clips per second by the CPU time of the process, and in brackets
the ratio to R = 1; then, for R = 1, the shares of reading (decoding and the
conversion to RGB) and of cropping.
"""

import argparse
import dataclasses
import time

import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import sampler as sampler_lib
from rvm_jax.data import sources as sources_lib

SPACING = frame_sampling.Spacing(
    num_source=4, num_target=4, stride=1, min_gap=4, max_gap=48
)


class Timed:
  """A source that counts the CPU seconds that reading takes."""

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
    place: str, size: int, repeats: list[int], num_records: int
) -> dict[int, np.ndarray]:
  """Measures a source.

  Args:
    place: the source.
    size: height and width of the clips in pixels.
    repeats: numbers of clips that are cut from a record.
    num_records: number of records to read.

  Returns:
    For each of `repeats`, CPU seconds of a clip: in all, and of reading.
  """
  videos = sources_lib.Videos(place, SPACING, max_bad_share=1.0)
  source = Timed(videos)
  cutter = sampler_lib.Sampler(
      0, source, SPACING, size, size, (0.3, 1.0), (0.75, 1.25), 0.5
  )
  numbers = np.random.default_rng(0).integers(len(videos), size=num_records)
  spent = {count: np.zeros(2) for count in repeats}
  for turn, number in enumerate(numbers.tolist()):
    # Another setting is first in each turn.
    shift = turn % len(repeats)
    for count in repeats[shift:] + repeats[:shift]:
      before = source.seconds
      start = time.process_time()
      cutter.cut(number, np.random.default_rng(turn), count)
      spent[count] += time.process_time() - start, source.seconds - before
  return {
      count: seconds / (num_records * count) for count, seconds in spent.items()
  }


def main():
  """Measures the sources of the command line and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('sources', nargs='+', metavar='SOURCE')
  parser.add_argument('--repeats', type=int, nargs='+', default=[1, 2, 4, 8])
  parser.add_argument('--sizes', type=int, nargs='+', default=[256, 64])
  parser.add_argument('--num_records', type=int, default=20)
  options = parser.parse_args()
  print('clips per second of a core, by CPU time (ratio to the first)')
  for place in options.sources:
    for size in options.sizes:
      spent = measure(place, size, options.repeats, options.num_records)
      first = spent[options.repeats[0]]
      row = '  '.join(
          f'R={count}: {1 / seconds[0]:.1f} ({first[0] / seconds[0]:.2f})'
          for count, seconds in spent.items()
      )
      print(
          f'{place} at {size}:  {row}  reading {first[1] / first[0]:.0%},'
          f' cropping {1 - first[1] / first[0]:.0%}',
          flush=True,
      )


if __name__ == '__main__':
  main()
