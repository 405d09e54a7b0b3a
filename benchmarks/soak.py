"""Reads clips for long through worker processes, with broken files among them.

    python benchmarks/soak.py --dir=/tmp/soak

Writes small videos to the folder, indexes them, breaks some of the files
(overwritten with zeros, cut, deleted), and reads batches of samples of 64 x 64
pixels through worker processes. The exit code is 0 if all this holds, else 1:
  - Memory does not grow: the mean of the last quarter of the readings is at
    most 2 % above that of the second quarter. A reading is the proportional set
    size without pages of files, summed over the reading process and its
    workers. Memory that n processes share counts as one n-th in each.
  - When the stream is closed, no worker is left, not even as a zombie.
  - When the reading process has ended, the files that it made in /dev/shm are
    gone. (Files that another program makes there meanwhile and keeps for 20 s
    are counted too.)
  - Broken files were met and skipped.
It needs Linux. The folder is deleted at the end.
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

# Size of a batch, height and width in pixels, and frames of a video.
BATCH_SIZE, SIZE, NUM_FRAMES = 16, 64, 40
# Number of videos that differ; the others are copies of them.
NUM_DIFFERENT = 16
# About how often the memory is read.
NUM_READINGS = 80
# Greatest ratio of the memory in the last quarter to that in the second.
MOST_GROWTH = 1.02
# Seconds within which workers and shared memory must be gone.
PATIENCE = 20


def write_videos(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
  """Writes `count` small videos to a new folder and returns their paths."""
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
  """Breaks an indexed file.

  Args:
    path: path of the file.
    kind: 0 to overwrite it with zeros, 1 to cut it in half, 2 to delete it.
  """
  before = path.stat()
  if kind == 0:
    path.write_bytes(bytes(before.st_size))
    # By its time it has not changed since it was indexed.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
  elif kind == 1:
    os.truncate(path, before.st_size // 2)
  else:
    path.unlink()


def find_processes() -> dict[int, str]:
  """Returns the states of this process's children, such as 'Z', by process id.

  The resource tracker of multiprocessing is left out, because it ends only
  after this process.
  """
  states = {}
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      # After the name in parentheses come the state and the parent's id.
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
  """Opens the videos of a folder as training data, which indexes them."""
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
  """Returns the ratio of the mean of the last quarter to that of the second."""
  quarter = len(memory) // 4
  return np.mean(memory[-quarter:]) / np.mean(memory[quarter : 2 * quarter])


def find_lasting(find: Callable[[], Iterable]) -> set:
  """Returns what is still found after some time.

  Args:
    find: function that returns what it finds. It is called each second until
      nothing is left of what the first call found, for `PATIENCE` seconds at
      most.

  Returns:
    What every call has found.
  """
  lasting = set(find())
  for _ in range(PATIENCE):
    if not lasting:
      break
    time.sleep(1)
    lasting &= set(find())
  return lasting


def read_all(options: argparse.Namespace) -> bool:
  """Makes files, breaks some and reads all; returns whether the checks hold."""
  # Workers read absl's flags, which nothing else parses here.
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
  """Starts the process that reads, or is it; returns the exit code."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--dir', required=True, help='folder to make')
  parser.add_argument(
      '--num_clips', type=int, default=20_000, help='clips to read'
  )
  parser.add_argument(
      '--num_good', type=int, default=4000, help='files that stay whole'
  )
  parser.add_argument(
      '--num_broken', type=int, default=1000, help='files that are broken'
  )
  parser.add_argument(
      '--num_workers', type=int, default=2, help='worker processes'
  )
  parser.add_argument(
      '--is_reader',
      action='store_true',
      help='be the process that reads, as this command starts it itself',
  )
  options = parser.parse_args()
  if options.is_reader:
    return 0 if read_all(options) else 1
  before = set(os.listdir('/dev/shm'))
  # In a process of its own: shared memory with batches that were not taken is
  # removed only when the process has ended.
  done = subprocess.run([sys.executable, *sys.argv, '--is_reader'], check=False)
  left = find_lasting(lambda: set(os.listdir('/dev/shm')) - before)
  print(f'files left in /dev/shm: {left or "none"}')
  is_sound = not done.returncode and not left
  print('sound' if is_sound else 'NOT SOUND')
  return 0 if is_sound else 1


if __name__ == '__main__':
  sys.exit(main())
