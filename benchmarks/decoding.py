"""Measures decoding and cropping: the video index against plain PyAV.

    python benchmarks/decoding.py VIDEO_OR_FOLDER...

As in pretraining, a sample is 4 source frames in a row and 4 target frames, 4
to 48 frames after the last source frame, cropped and resized to 256 x 256
pixels. There are three ways to read it:
  indexed  This project: seeks with the index, decodes what is needed, and
           converts the 8 frames to RGB.
  start    PyAV from the start of the file to the last frame of the sample;
           converts the 8 frames.
  plain    PyAV from the start of the file to the last frame of the sample;
           converts every frame on the way, as a loop over `frame.to_ndarray`
           does.
All three read the same samples and take turns in one process, with one thread
each. Their frames are compared and must be equal. The table has samples per
second by the CPU time of the process, and in brackets by wall time, which is
longer if other processes use the core.
"""

import argparse
import functools
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
  """Reads frames by decoding a video from its start.

  Args:
    path: path of the video.
    numbers: int [N], the numbers of the frames in ascending order.
    is_sparing: whether only these frames are converted to RGB, instead of all
      frames up to the last of them.

  Returns:
    uint8 [N, H, W, 3].
  """
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


def measure(path: str, summary: index.Summary, num_samples: int):
  """Measures the three ways to read samples of a video.

  Args:
    path: path of the video.
    summary: what the index knows about it.
    num_samples: number of samples to read.

  Returns:
    Way -> float [2], CPU seconds and wall seconds for a sample.
  """
  rng = np.random.default_rng(0)

  def read_indexed(numbers):
    return reader.read(*index.load(index.database(), summary.row), numbers)

  ways = {
      'indexed': read_indexed,
      'start': functools.partial(read_plain, path, is_sparing=True),
      'plain': functools.partial(read_plain, path, is_sparing=False),
  }
  spent = {way: np.zeros(2) for way in ways}
  for turn in range(num_samples):
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
    # Another way is first in each turn.
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
  return {way: seconds / num_samples for way, seconds in spent.items()}


def main():
  """Measures the videos of the command line and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('paths', nargs='+', metavar='VIDEO_OR_FOLDER')
  parser.add_argument(
      '--num_clips', type=int, default=20, help='samples of each'
  )
  options = parser.parse_args()
  paths = [clip.path for path in options.paths for clip in listing.find(path)]
  good, bad = index.build(paths)
  for path, reason in bad.items():
    print(f'left out: {path}: {reason}')
  print('samples per second per core, by CPU time (by wall time)')
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
  print(f'{"as many samples of each":41}{row(mean)}')


def row(spent: dict[str, np.ndarray]) -> str:
  """Returns a row of the table: rates of all ways, then two ratios."""
  cells = [f'{1 / cpu:7.1f} ({1 / wall:5.1f})' for cpu, wall in spent.values()]
  cpu = {way: seconds[0] for way, seconds in spent.items()}
  ratios = [cpu[way] / cpu['indexed'] for way in ('start', 'plain')]
  return ' '.join(cells) + f'{ratios[0]:13.2f}{ratios[1]:15.2f}'


if __name__ == '__main__':
  main()
