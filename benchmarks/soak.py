"""Reads many clips through worker processes, of which some files are broken.

    python benchmarks/soak.py --dir=/tmp/soak

Writes small videos to the folder, indexes them, breaks some of the files
(overwritten with zeros, cut, deleted), and reads batches of samples of 64 x 64
pixels through worker processes. The run fails, with exit code 1, unless
  memory  is flat: the mean of the last quarter of the readings is at most 2 %
          above that of the second quarter. A reading is the sum over this
          process and its workers of the proportional set size without pages of
          files. Memory that n processes share counts as one n-th in each.
  files   in /dev/shm that came with the run are gone when its process has
          ended (another run's that lasts for 20 s would be counted too),
  workers are gone before that, and none is left as a zombie,
  broken  files were met, and skipped.
Linux alone has what it measures. The folder is deleted at the end.
"""

import argparse
from collections.abc import Callable, Iterable
import os
import pathlib
import shutil
import subprocess
import sys
import time

from absl import flags
from absl import logging
import av
import numpy as np

from rvm_jax.data import pipeline

BATCH_SIZE, SIZE, NUM_FRAMES = 16, 64, 40
NUM_DIFFERENT = 16
NUM_READINGS = 80
MOST_GROWTH = 1.02
# Seconds that workers and shared memory have to go away.
PATIENCE = 20


def write_videos(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
  """Writes small videos, of which a few differ, and returns their paths."""
  folder.mkdir(parents=True)
  paths = [folder / f'{number:06d}.mp4' for number in range(count)]
  rng = np.random.default_rng(0)
  for path in paths[:NUM_DIFFERENT]:
    start = rng.integers(256, size=(SIZE // 8, SIZE // 8, 3))
    with av.open(str(path), 'w') as container:
      stream = container.add_stream('libx264', 25, {'g': '12'})
      stream.height, stream.width, stream.pix_fmt = SIZE, SIZE, 'yuv420p'
      for number in range(NUM_FRAMES):
        pixels = np.kron(start + 4 * number, np.ones((8, 8, 1))) % 256
        frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8))
        container.mux(stream.encode(frame))
      container.mux(stream.encode(None))
  for number, path in enumerate(paths[NUM_DIFFERENT:]):
    shutil.copy(paths[number % NUM_DIFFERENT], path)
  return paths


def break_file(path: pathlib.Path, kind: int):
  """Breaks an indexed file: its contents (kind 0), its end (1), or all (2)."""
  before = path.stat()
  if kind == 0:
    path.write_bytes(bytes(before.st_size))
    # As if it had not changed since it was indexed.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
  elif kind == 1:
    os.truncate(path, before.st_size // 2)
  else:
    path.unlink()


def find_processes() -> dict[int, str]:
  """Returns the states of this process's children, by their number.

  The process of multiprocessing that watches over shared memory is left out: it
  ends after this one.
  """
  states = {}
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      # After the name in parentheses: state, parent.
      fields = (folder / 'stat').read_text().rpartition(')')[2].split()
      command = (folder / 'cmdline').read_text()
    except (FileNotFoundError, ProcessLookupError):
      continue
    if int(fields[1]) == os.getpid() and 'resource_tracker' not in command:
      states[int(folder.name)] = fields[0]
  return states


def read_memory() -> float:
  """Returns the memory of this process and its children in MB (2 ** 20)."""
  total = 0
  for number in [os.getpid(), *find_processes()]:
    try:
      text = pathlib.Path(f'/proc/{number}/smaps_rollup').read_text()
    except (FileNotFoundError, ProcessLookupError):
      continue
    # Pages of files are left out: how many processes share those of libraries
    # depends on what else the machine does.
    for line in text.splitlines():
      if line.startswith(('Pss_Anon:', 'Pss_Shmem:')):
        total += int(line.split()[1]) / 1024
  return total


def open_stream(folder: pathlib.Path, num_workers: int) -> pipeline.Pipeline:
  """Opens the videos of a folder, which are indexed."""
  return pipeline.Pipeline(
      sources=(str(folder),),
      weights=(1.0,),
      num_scenes=1,
      batch_size=BATCH_SIZE,
      num_source=4,
      num_target=4,
      stride=1,
      min_gap=4,
      max_gap=24,
      frame_rate=None,
      height=SIZE,
      width=SIZE,
      crop_area=(0.3, 1.0),
      crop_aspect=(0.75, 1.25),
      flip=0.5,
      max_bad_share=0.0,
      num_workers=num_workers,
      prefetch=2,
      seed=0,
  )


def read_clips(
    stream: pipeline.Pipeline, num_clips: int
) -> tuple[list[float], int]:
  """Reads clips.

  Args:
    stream: the stream of batches.
    num_clips: number of clips to read, in whole batches.

  Returns:
    Readings of the memory in MB, and the number of broken records met.
  """
  memory, num_skipped = [], 0
  num_batches = num_clips // BATCH_SIZE
  every = max(1, num_batches // NUM_READINGS)
  batches = stream.iterator()
  try:
    for number in range(num_batches):
      num_skipped += int(next(batches)['skipped'].sum())
      if number % every == every - 1:
        memory.append(read_memory())
  finally:
    batches.close()
  return memory, num_skipped


def growth(memory: list[float]) -> float:
  """Returns the mean of the last quarter over that of the second quarter."""
  quarter = len(memory) // 4
  return np.mean(memory[-quarter:]) / np.mean(memory[quarter : 2 * quarter])


def find_lasting(find: Callable[[], Iterable]) -> set:
  """Returns what a function finds now and again each second, with patience."""
  lasting = set(find())
  for _ in range(PATIENCE):
    if not lasting:
      break
    time.sleep(1)
    lasting &= set(find())
  return lasting


def read_all(options: argparse.Namespace) -> bool:
  """Makes the files, breaks some and reads; returns whether all is sound."""
  # Workers read absl's flags.
  flags.FLAGS.mark_as_parsed()
  logging.set_verbosity(logging.ERROR)
  folder = pathlib.Path(options.dir)
  folder.mkdir()
  os.environ['XDG_CACHE_HOME'] = str(folder / 'cache')
  count = options.num_good + options.num_broken
  try:
    paths = write_videos(folder / 'videos', count)
    # Broken files are spread over the others.
    broken = paths[:: count // options.num_broken][: options.num_broken]
    stream = open_stream(folder / 'videos', options.num_workers)
    for number, path in enumerate(broken):
      break_file(path, number % 3)
    start = time.perf_counter()
    memory, num_skipped = read_clips(stream, options.num_clips)
    seconds = time.perf_counter() - start
  finally:
    shutil.rmtree(folder)
  left = find_lasting(find_processes)
  ratio = growth(memory)
  print(
      f'{options.num_clips} clips of {count} files, of which'
      f' {options.num_broken} broken, by {options.num_workers} workers in'
      f' {seconds:.0f} s; {num_skipped} broken records met and skipped'
  )
  quarters = ', '.join(f'{np.mean(x):.1f}' for x in np.array_split(memory, 4))
  print(
      f'memory in MB: first {memory[0]:.1f}, quarters {quarters}, greatest'
      f' {max(memory):.1f}; last over second quarter {ratio:.4f}'
  )
  print(f'workers left: {left or "none"}', flush=True)
  return ratio <= MOST_GROWTH and not left and num_skipped > 0


def main() -> int:
  """Reads clips and returns the exit code."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--dir', required=True, help='folder to make')
  parser.add_argument('--num_clips', type=int, default=20_000)
  parser.add_argument('--num_good', type=int, default=4000)
  parser.add_argument('--num_broken', type=int, default=1000)
  parser.add_argument('--num_workers', type=int, default=2)
  parser.add_argument(
      '--is_reader', action='store_true', help='be the process that reads'
  )
  options = parser.parse_args()
  if options.is_reader:
    return 0 if read_all(options) else 1
  before = set(os.listdir('/dev/shm'))
  # Batches that nobody took are removed when the process that reads has ended.
  done = subprocess.run([sys.executable, *sys.argv, '--is_reader'], check=False)
  left = find_lasting(lambda: set(os.listdir('/dev/shm')) - before)
  print(f'files left in /dev/shm: {left or "none"}')
  is_sound = not done.returncode and not left
  print('sound' if is_sound else 'NOT SOUND')
  return 0 if is_sound else 1


if __name__ == '__main__':
  sys.exit(main())
