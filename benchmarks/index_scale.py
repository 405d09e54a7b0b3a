"""Measures how long a source of a million videos takes to open.

    python benchmarks/index_scale.py --num_files=1000000 --dir=/tmp/index_scale

Makes a tree of empty files, 1000 in each folder, and an index (a database) with
a made-up row for each file. Every stage runs in a process of its own. The table
has its wall seconds, its CPU seconds, and by how much the peak of its memory
grew, in MB (2 ** 20 bytes):
  list  lists the tree.
  open  opens the tree as a source of a run: lists it, looks up all files in the
        index, and plans their records.
  new   as `open`, after --num_new videos were added, which are decoded once.
  merge adds all rows to an empty index, as that of another host would be.

--latency makes every request to the file system take longer, as on a network
disk. The tree is deleted at the end.
"""

import argparse
from concurrent import futures
import multiprocessing
import os
import shutil
import sqlite3
import time

import av
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import sources
from rvm_jax.data.video import index
from rvm_jax.data.video import listing
from rvm_jax.data.video import merging

# Number of files in a folder of the tree.
PER_FOLDER = 1000
# Frames of a sample, as in configs/rvm_base.py.
SPACING = frame_sampling.Spacing(
    num_source=4, num_target=4, stride=1, min_gap=4, max_gap=48
)


def make_tree(folder: str, num_files: int):
  """Makes a tree of empty files and an index that has a row for each file."""
  videos = os.path.join(folder, 'videos')
  rows = []
  for number in range(num_files):
    name = f'{number // PER_FOLDER:04d}/{number:08d}.mp4'
    path = os.path.join(videos, name)
    if not number % PER_FOLDER:
      os.makedirs(os.path.dirname(path))
    os.close(os.open(path, os.O_CREAT))
    # Path, size and time of modification tell whether a row is up to date.
    rows.append((path, 0, os.stat(path).st_mtime_ns))
  os.makedirs(os.path.dirname(index.database()))
  # Timestamps and key frames of a minute of video at 30 frames a second.
  stamps = index._pack(512 * np.arange(1800))
  keys = index._pack(np.arange(0, 1800, 250))
  with sqlite3.connect(index.database()) as connection:
    connection.execute(index._TABLE)
    connection.executemany(
        'INSERT INTO videos (path, size, mtime, num_frames, frame_rate, height,'
        ' width, labels, keys, lead, is_interlaced, note)'
        " VALUES (?, ?, ?, 1800, 30.0, 240, 320, ?, ?, 0, 0, '')",
        (row + (stamps, keys) for row in rows),
    )


def add_videos(folder: str, num_new: int):
  """Makes a folder with `num_new` copies of a small video."""
  os.makedirs(folder)
  first = os.path.join(folder, '0.mp4')
  with av.open(first, 'w') as container:
    stream = container.add_stream('libx264', rate=25)
    stream.height, stream.width, stream.pix_fmt = 64, 64, 'yuv420p'
    for number in range(60):
      pixels = np.full((64, 64, 3), number, np.uint8)
      container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
    container.mux(stream.encode(None))
  for number in range(1, num_new):
    shutil.copy(first, os.path.join(folder, f'{number}.mp4'))


def add_latency(seconds: float):
  """Makes `os.stat` and `os.scandir` take longer in this process."""

  def slow(function):
    def call(*arguments, **keywords):
      time.sleep(seconds)
      return function(*arguments, **keywords)

    return call

  if seconds:
    os.stat, os.scandir = slow(os.stat), slow(os.scandir)


def measure(stage: str, folder: str, latency: float) -> list[float]:
  """Runs a stage in this process.

  Args:
    stage: 'list', 'open', 'new' or 'merge'.
    folder: folder with the tree in 'videos'.
    latency: seconds that a request to the file system takes longer.

  Returns:
    Wall seconds, CPU seconds, and growth of the peak of the memory in MB.
  """
  add_latency(latency)
  videos = os.path.join(folder, 'videos')
  peak, start = _peak(), np.array([time.perf_counter(), time.process_time()])
  if stage == 'list':
    listing.find(videos)
  elif stage == 'merge':
    full = index.database()
    os.environ['XDG_CACHE_HOME'] = os.path.join(folder, 'other')
    merging.merge([full])
  else:
    sources.Videos(videos, SPACING, max_bad_share=0.0)
  end = np.array([time.perf_counter(), time.process_time()])
  return [*(end - start), _peak() - peak]


def _peak() -> float:
  """Returns the peak of this process's memory in MB (2 ** 20 bytes)."""
  with open('/proc/self/status') as file:
    (line,) = [line for line in file if line.startswith('VmHWM')]
  return int(line.split()[1]) / 1024


def main():
  """Measures the stages and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--dir', required=True, help='folder to make')
  parser.add_argument(
      '--num_files', type=int, default=1_000_000, help='files in the tree'
  )
  parser.add_argument(
      '--num_new', type=int, default=100, help='videos of the stage new'
  )
  parser.add_argument(
      '--latency', type=float, default=0.0, help='seconds more for each request'
  )
  options = parser.parse_args()
  os.makedirs(options.dir)
  os.environ['XDG_CACHE_HOME'] = os.path.join(options.dir, 'cache')
  try:
    make_tree(options.dir, options.num_files)
    print(f'{"stage":8}{"wall, s":>10}{"CPU, s":>10}{"peak, MB":>10}')
    for stage in ('list', 'open', 'new', 'merge'):
      if stage == 'new':
        add_videos(os.path.join(options.dir, 'videos/new'), options.num_new)
      with futures.ProcessPoolExecutor(
          1, multiprocessing.get_context('spawn')
      ) as pool:
        spent = pool.submit(measure, stage, options.dir, options.latency)
        wall, cpu, megabytes = spent.result()
      print(f'{stage:8}{wall:10.1f}{cpu:10.1f}{megabytes:10.0f}', flush=True)
  finally:
    shutil.rmtree(options.dir)


if __name__ == '__main__':
  main()
