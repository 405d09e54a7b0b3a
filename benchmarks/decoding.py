"""Decoding plus crop, clips per second per core: the index against plain PyAV.

    python benchmarks/decoding.py VIDEO_OR_FOLDER...

One clip is 4 source frames in a row and 4 targets 4 to 48 frames after them,
cropped and resized to 256 x 256, as in pretraining. Three ways read the same
draws from the same files, by turns, in one process and one thread each:
  indexed  this project: seek by the index, decode what is needed, convert
           the 8 frames.
  start    PyAV from the start of the file to the last frame needed,
           converting the 8 frames.
  plain    the same, converting every frame on the way (what a loop over
           `frame.to_ndarray` does).
The frames are compared: all three must be the same. `wall` differs from the
process's CPU time where other processes take part of the core.
"""

import argparse
import time

import av
import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling
from rvm_jax.data.video import index
from rvm_jax.data.video import listing
from rvm_jax.data.video import reader

SPACING = frame_sampling.Spacing(
    num_source=4, num_target=4, stride=1, min_gap=4, max_gap=48
)
SIZE = 256


def read_plain(path: str, numbers: np.ndarray, is_sparing: bool):
  """Frames by decoding from the start; sparing ones convert no others."""
  images = {}
  with av.open(path) as container:
    stream = container.streams.video[0]
    stream.thread_type = 'NONE'
    for number, frame in enumerate(container.decode(stream)):
      if number in numbers or not is_sparing:
        frame = frame.reformat(format='rgb24', threads=1)
        images[number] = frame.to_ndarray()
      if number == numbers[-1]:
        break
  return np.stack([images[number] for number in numbers])


def measure(path: str, summary: index.Summary, num_clips: int):
  """Returns {way: (CPU seconds, wall seconds)} per clip."""
  rng = np.random.default_rng(0)
  ways = {
      'indexed': lambda n: reader.read(
          *index.load(index.database(), summary.row), n
      ),
      'start': lambda n: read_plain(path, n, is_sparing=True),
      'plain': lambda n: read_plain(path, n, is_sparing=False),
  }
  spent = {way: np.zeros(2) for way in ways}
  for turn in range(num_clips):
    numbers, _ = frame_sampling.sample_frames(
        rng,
        SPACING,
        summary.num_frames,
        summary.frame_rate,
        (0, summary.num_frames),
    )
    numbers = np.unique(numbers)
    box = crops.sample_box(
        rng, summary.height, summary.width, (0.3, 1.0), (0.75, 1.25)
    )
    results = {}
    order = list(ways)[turn % 3 :] + list(ways)[: turn % 3]
    for way in order:
      read = ways[way]
      start = np.array([time.process_time(), time.perf_counter()])
      results[way] = crops.crop(read(numbers), box, SIZE, SIZE, False)
      end = np.array([time.process_time(), time.perf_counter()])
      spent[way] += end - start
    for way, frames in results.items():
      if not np.array_equal(frames, results['indexed']):
        raise SystemExit(f'{path}: {way} and indexed frames differ')
  return {way: seconds / num_clips for way, seconds in spent.items()}


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('paths', nargs='+', metavar='VIDEO_OR_FOLDER')
  parser.add_argument('--num_clips', type=int, default=20, help='per video')
  options = parser.parse_args()
  paths = [clip.path for path in options.paths for clip in listing.find(path)]
  good, bad = index.build(paths)
  for path, reason in bad.items():
    print(f'left out: {path}: {reason}')
  print('clips per second per core: CPU time (wall)')
  print(
      f'{"video":24}{"frames":>7}{"size":>10}  indexed        start'
      '          plain          indexed/start  indexed/plain'
  )
  totals = []
  for path, summary in good.items():
    if summary.num_frames < SPACING.length(1, summary.frame_rate):
      continue
    spent = measure(path, summary, options.num_clips)
    totals.append(spent)
    size = f'{summary.width}x{summary.height}'
    name = path.rsplit('/', 1)[-1][-23:]
    print(f'{name:24}{summary.num_frames:7}{size:>10}{row(spent)}')
  mean = {
      way: np.mean([spent[way] for spent in totals], axis=0)
      for way in totals[0]
  }
  print(f'{"as many clips of each":41}{row(mean)}')


def row(spent: dict[str, np.ndarray]) -> str:
  cells = [f'{1 / cpu:7.1f} ({1 / wall:5.1f})' for cpu, wall in spent.values()]
  cpu = {way: seconds[0] for way, seconds in spent.items()}
  ratios = [cpu[way] / cpu['indexed'] for way in ('start', 'plain')]
  return ' '.join(cells) + f'{ratios[0]:13.2f}{ratios[1]:15.2f}'


if __name__ == '__main__':
  main()
