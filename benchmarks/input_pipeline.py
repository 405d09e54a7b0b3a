"""Measures what reading clips costs a core, by stage and against other readers.

    python benchmarks/input_pipeline.py VIDEOS FRAMES ...

Each argument is a source of a run: a folder of videos, one of folders of JPEG
frames, or a packed set. As in pretraining, a sample is 4 source frames in a row
and 4 target frames, 4 to 48 frames after the last source frame, cropped and
resized to 256 x 256 pixels. Three tables are printed for each source:
  ways    Samples that a core reads a second: by this project; by PyAV from the
          start of the file, converting the 8 frames to RGB ('sequential'); by
          PyAV converting every frame on the way; and by torchcodec and decord2
          where they are installed. For JPEG frames 'sequential' is Pillow
          alone; in a packed set it begins with the record in memory. All ways
          read the same frames to memory, in turns, in one process and with one
          thread. The frames of this project must equal those of sequential
          decoding.
  stages  CPU time of a sample for each stage: looking up the record, reading
          the encoded bytes, decoding, cropping and resizing, copying into a
          batch of 16; their sum; and the time in a run's stream of batches,
          which does all of this.
  chips   How many cores, reading at the rate of this stream, each v6e chip of a
          slice of 256 needs, and how many bytes its host reads a second, for
          each size of RVM. The first number is for the speed of a chip that the
          compiler estimates, the second for the bound that no program beats;
          both are read from benchmarks/pods.

Rates are by CPU time, which other work on the machine changes less than wall
time. Files come from the page cache.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import time
from typing import NamedTuple

import formats
import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling
from rvm_jax.data import pipeline
from rvm_jax.data import records
from rvm_jax.data import sources

# Plans by size of model, see pods.py, and the letters of the sizes.
PODS = pathlib.Path(__file__).parent / 'pods'
SIZES = {'small': 'S', 'base': 'B', 'large': 'L', 'huge': 'H'}
# Frames, size in pixels and crops of a sample, as in configs/rvm_base.py.
SPACING = frame_sampling.Spacing(
    num_source=4, num_target=4, stride=1, min_gap=4, max_gap=48
)
SIZE, BATCH_SIZE = 256, 16
AREA, ASPECT = (0.3, 1.0), (0.75, 1.25)
STAGES = ('look up', 'read', 'decode', 'crop', 'batch')


class Row(NamedTuple):
  """What was measured for a clip.

  Attributes:
    name: name of the clip.
    num_records: number of the clip's records in the source.
    spent: mean CPU seconds of a sample, by the names of ways and of stages.
    num_bytes: mean number of bytes that are read for a sample.
    differences: for each way, how much its pixels differ from those of
      sequential decoding: the mean over a sample, of the worst sample.
  """

  name: str
  num_records: int
  spent: dict[str, float]
  num_bytes: float
  differences: dict[str, float]


def measure_clip(
    source: records.Source, numbers: list[int], num_samples: int
) -> Row:
  """Measures samples of one clip.

  Args:
    source: the source.
    numbers: numbers of the clip's records in the source.
    num_samples: number of samples to measure.

  Raises:
    SystemExit: our frames differ from those of sequential decoding.
  """
  rng = np.random.default_rng(0)
  clock, num_bytes = formats.Clock(), 0
  differences: dict[str, float] = {}
  failed: set[str] = set()
  # Turn -1 is not counted: it imports libraries and fills the page cache.
  for turn in range(-1, num_samples):
    if turn == 0:
      clock, num_bytes = formats.Clock(), 0
    # The same frames in all ways, each compared with sequential decoding.
    record = clock('look up', source.__getitem__, numbers[turn % len(numbers)])
    kind, place = formats.find(source, record)
    frames, _ = frame_sampling.sample_frames(
        rng, SPACING, record.num_frames, record.frame_rate, record.window
    )
    frames = np.unique(frames)
    ways = {formats.OURS: functools.partial(formats.read_record, record)}
    ways |= {formats.SEQUENTIAL: kind.sequential, **kind.ways}
    images = formats.read(clock, ways, turn, place, frames)
    failed |= ways.keys() - images.keys()
    for way, found in images.items():
      difference = np.subtract(
          found, images[formats.SEQUENTIAL], dtype=np.float32
      )
      worst = differences.get(way, 0.0)
      differences[way] = max(worst, float(np.abs(difference).mean()))
    if differences[formats.OURS]:
      raise SystemExit(f'{place.path}: our frames {frames} differ')
    # The stages that follow one another in a run, each timed on its own.
    num_bytes += sum(map(len, clock('read', kind.fetch, place, frames)))
    box = crops.sample_box(rng, *images[formats.OURS].shape[1:3], AREA, ASPECT)
    cropped = clock(
        'crop', crops.crop, images[formats.OURS], box, SIZE, SIZE, False
    )
    clock('batch', np.stack, [cropped] * BATCH_SIZE)
  spent = {name: x / num_samples for name, x in clock.spent.items()}
  spent['batch'] /= BATCH_SIZE
  # The way of this project reads and decodes.
  spent['decode'] = max(0.0, spent[formats.OURS] - spent['read'])
  for way in failed:
    spent.pop(way, None)
  name = place.path.rsplit('/', 1)[-1]
  if place.number is not None:
    name = f'record {place.number}'
  return Row(
      f'{name} ({kind.name})',
      len(numbers),
      spent,
      num_bytes / num_samples,
      differences,
  )


def measure_stream(place: str, num_batches: int) -> float:
  """Returns the CPU seconds of a clip in the stream of batches of a run."""
  stream = pipeline.Pipeline(
      sources=(place,),
      weights=(1.0,),
      num_scenes=1,
      batch_size=BATCH_SIZE,
      **dataclasses.asdict(SPACING),
      height=SIZE,
      width=SIZE,
      crop_area=AREA,
      crop_aspect=ASPECT,
      flip=0.5,
      max_bad_share=0.5,
      num_workers=0,
      prefetch=1,
      seed=0,
  )
  batches = stream.iterator()
  next(batches)
  start = time.process_time()
  for _ in range(num_batches):
    next(batches)
  seconds = time.process_time() - start
  batches.close()
  return seconds / num_batches / BATCH_SIZE


def print_ways(rows: list[Row]):
  """Prints the table of ways: a row for each clip, and one for all clips."""
  ways = list(dict.fromkeys(way for row in rows for way in row.differences))
  print(f'\n| samples a second a core | {" | ".join(ways)} |')
  print('|---' * (1 + len(ways)) + '|')
  for row in rows:
    print(f'| {row.name} | {" | ".join(rate([row], way) for way in ways)} |')
  cells = [rate(rows, way) for way in ways]
  print(f'| as many samples of each | {" | ".join(cells)} |')


def rate(rows: list[Row], way: str) -> str:
  """Returns a cell: the samples a second of a way, '-' if it failed for one.

  If the pixels differ from sequential decoding by more than rounding, the cell
  says by how much in the mean, of 255.

  Args:
    rows: what was measured for the clips, which all count alike.
    way: name of the way.
  """
  if not all(way in row.spent for row in rows):
    return '-'
  text = f'{1 / np.mean([row.spent[way] for row in rows]):.1f}'
  worst = max(row.differences[way] for row in rows)
  return text if worst < 1 else f'{text} (differs by {worst:.0f})'


def print_stages(rows: list[Row], stream: float):
  """Prints the table of stages.

  Args:
    rows: what was measured for the clips. A clip's weight in the mean is its
      number of records.
    stream: CPU seconds of a clip in the stream of batches of a run.
  """
  weights = [row.num_records for row in rows]
  seconds = {
      stage: np.average([row.spent[stage] for row in rows], weights=weights)
      for stage in STAGES
  }
  seconds['sum'] = sum(seconds.values())
  seconds['stream of batches'] = stream
  print('\n| stage | ms of a core | clips a second a core |\n|---|---|---|')
  for name, value in seconds.items():
    print(f'| {name} | {1e3 * value:.3f} | {1 / max(value, 1e-9):.0f} |')


def print_chips(rate: float, clip_bytes: float):
  """Prints the cores and the bytes a second that hosts need, for each size.

  Args:
    rate: number of clips that a core reads in a second.
    clip_bytes: number of bytes that are read for a clip.
  """
  print(f'\nA clip reads {clip_bytes / 1e3:.0f} kB.')
  print(
      '\n| size | clips a second a chip | cores a chip | MB a second a host |'
  )
  print('|---|---|---|---|')
  for size, letter in SIZES.items():
    plan = json.loads((PODS / f'{size}.v6e-256.json').read_text())
    clips = plan['batch_size'] / plan['num_devices']
    per_host = plan['num_devices'] / plan['num_hosts']
    speeds = [
        clips / plan[key] for key in ('estimated_seconds', 'least_seconds')
    ]
    cells = [
        ' to '.join(f'{speed * factor:.0f}' for speed in speeds)
        for factor in (1, 1 / rate, per_host * clip_bytes / 1e6)
    ]
    print(f'| {letter} | {" | ".join(cells)} |')
  print(
      '\npython -m rvm_jax.training.plan --clips_per_core_second='
      f'{rate:.3g} ... tells the same for other configs and slices.'
  )


def main(arguments: list[str] | None = None):
  """Measures the sources of the command line and prints the tables."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      'places', nargs='+', metavar='SOURCE', help='a folder or a packed set'
  )
  parser.add_argument(
      '--num_samples', type=int, default=20, help='samples of each clip'
  )
  parser.add_argument(
      '--num_clips', type=int, default=20, help='clips of each source, at most'
  )
  parser.add_argument(
      '--num_batches', type=int, default=4, help='batches of the stream'
  )
  options = parser.parse_args(arguments)
  for place in options.places:
    source = sources.find(place, SPACING, max_bad_share=0.5)
    # A long clip has several records.
    by_clip: dict[int, list[int]] = {}
    for number in range(len(source)):
      by_clip.setdefault(int(source[number].clip[0]), []).append(number)
    rows = [
        measure_clip(source, numbers, options.num_samples)
        for numbers in list(by_clip.values())[: options.num_clips]
    ]
    print(f'\n### {place}')
    print_ways(rows)
    stream = measure_stream(place, options.num_batches)
    print_stages(rows, stream)
    weights = [row.num_records for row in rows]
    clip_bytes = np.average([row.num_bytes for row in rows], weights=weights)
    print_chips(1 / stream, clip_bytes)


if __name__ == '__main__':
  main()
