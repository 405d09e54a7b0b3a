"""Measures features of a long video, streams in parallel, and loading.

  python benchmarks/usage.py video VIDEO --seconds=300
  python benchmarks/usage.py throughput --sizes S B L --dtype=bfloat16
  python benchmarks/usage.py load --size=L

video: Repeats the file up to the given length and runs `python -m
rvm_jax.features` on it, decoding and writing included, while its memory is
observed. Late is the last tenth of the frames. Early is the second tenth,
because the first tenth has work that is done only once, such as compiling.

throughput: Measures frames per second, with frames and features on the host,
for 1, 2, 4 ... streams in parallel, until twice as many are less than 10 %
faster. For comparison the same model is used naively: one frame a call of
`encode`, waiting for the features each time.

load: Measures `rvm_jax.load` of an archive with the shapes of a released one.

Weights are random; time and memory do not depend on them.
"""

import argparse
import functools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import av
import jax
import numpy as np
import rows

import rvm_jax
from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.models import rvm
from rvm_jax.ops import images
from rvm_jax.weights import released

# Frames of each stream in a timed call.
NUM_TIMED = 64


def save_random(size: str, path: str, **how) -> dict:
  """Writes an archive in the released layout, with random weights.

  Args:
    size: a key of `rvm.SIZES`.
    path: path of the archive.
    **how: further attributes of `rvm.RVM`, by name.

  Returns:
    An empty dict, because `rows.measure` calls functions that return a dict.
  """
  model = rvm.RVM(**rvm.SIZES[size], **how)
  weights.save_npz(path, rows.random_like(released.shapes(model)))
  return {}


def measure_load(path: str) -> dict:
  """Measures `rvm_jax.load`.

  Args:
    path: path of the archive.

  Returns:
    'seconds' that loading takes, number of 'parameters', and the peak of the
    process's memory in GB: 'before' loading, and 'memory' after it.
  """
  before = rows.peak_memory()
  start = time.perf_counter()
  encoder = rvm_jax.load(path)
  jax.block_until_ready(encoder.params)
  return {
      'seconds': time.perf_counter() - start,
      'parameters': rows.count_params(encoder.params),
      'before': before,
      'memory': rows.peak_memory(),
  }


def load(options):
  """Runs the command 'load'."""
  with tempfile.TemporaryDirectory() as folder:
    path = f'{folder}/random.npz'
    rows.measure(save_random, size=options.size, path=path)
    gigabytes = os.path.getsize(path) / 1e9
    row = rows.measure(measure_load, path=path)
  print(
      f'{options.size}, {row["parameters"] / 1e6:.1f} M parameters,'
      f' {gigabytes:.2f} GB just written: loaded in {row["seconds"]:.1f} s;'
      f' peak memory {row["memory"]:.2f} GB, before that {row["before"]:.2f} GB'
  )


def measure_rate(size, batch, is_naive, resolution, dtype, attention) -> dict:
  """Measures streams in parallel.

  Args:
    size: a key of `rvm.SIZES`.
    batch: number of streams.
    is_naive: whether each frame is a call of its own.
    resolution: height and width of the frames in pixels.
    dtype: the attribute `dtype` of `rvm.RVM`.
    attention: the attribute `attention` of `rvm.RVM`.

  Returns:
    'rate' in frames per second of all streams, and peak 'memory' in GB.
  """
  model, params = rows.make_rvm(size, dtype=dtype, attention=attention)
  encoder = streaming.Encoder(model, params)
  video = np.stack([rows.random_frames(NUM_TIMED, resolution)] * batch)

  @jax.jit
  def encode(p, x, s):
    return model.apply({'params': p}, images.to_float(x), s, method='encode')

  def encode_naively(state):
    for t in range(NUM_TIMED):
      features, state = encode(encoder.params, video[:, t : t + 1], state)
      np.asarray(features)

  call = functools.partial(encoder, video)
  if is_naive:
    first = encoder.init(batch, resolution, resolution)
    call = functools.partial(encode_naively, first)
  # The first call compiles.
  call()
  seconds = []
  for _ in range(3):
    start = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - start)
  rate = batch * NUM_TIMED / statistics.median(seconds)
  return {'rate': rate, 'memory': rows.peak_memory()}


def throughput(options):
  """Runs the command 'throughput'."""
  how = dict(
      resolution=options.resolution,
      dtype=options.dtype,
      attention=options.attention,
  )
  print('size  streams  frames/s   GB  naively   GB')
  for size in options.sizes:
    batch, before = 1, 0.0
    while batch <= options.max_streams:
      ours, naive = (
          rows.measure(
              measure_rate, size=size, batch=batch, is_naive=is_naive, **how
          )
          for is_naive in (False, True)
      )
      print(
          f'{size:4}{batch:9}{ours["rate"]:10.1f}{ours["memory"]:5.1f}'
          f'{naive["rate"]:9.1f}{naive["memory"]:5.1f}',
          flush=True,
      )
      if ours['rate'] < 1.1 * before:
        break
      batch, before = 2 * batch, ours['rate']


def repeat(path: str, output: str, seconds: float) -> int:
  """Writes a video that repeats another one, without decoding it.

  Args:
    path: path of the video to repeat.
    output: path of the new video.
    seconds: length of the new video.

  Returns:
    The number of frames in the new video.
  """
  num_frames, offset, copy = 0, 0, None
  with av.open(output, 'w') as container:
    while True:
      with av.open(path) as source:
        stream = source.streams.video[0]
        copy = copy or container.add_stream_from_template(stream)
        step = round(1 / (stream.average_rate * stream.time_base))
        for packet in source.demux(stream):
          if not packet.size:
            continue
          packet.dts += offset
          packet.pts = packet.dts if packet.pts is None else packet.pts + offset
          end = packet.dts + step
          if float(packet.pts * stream.time_base) >= seconds:
            return num_frames
          packet.stream = copy
          container.mux(packet)
          num_frames += 1
        offset = end


def watch(command: list[str]) -> list[tuple[float, float]]:
  """Runs a command and reads its resident memory five times a second.

  Returns:
    Pairs of the time of a reading, as time.time() tells it, and the memory in
    GB.

  Raises:
    SystemExit: the command has failed.
  """
  process, samples = subprocess.Popen(command), []
  while process.poll() is None:
    status = pathlib.Path(f'/proc/{process.pid}/status').read_text()
    if 'VmRSS:' in status:
      kibibytes = int(status.split('VmRSS:')[1].split()[0])
      samples.append((time.time(), kibibytes * 1024 / 1e9))
    time.sleep(0.2)
  if process.returncode:
    raise SystemExit(f'{command} failed')
  return samples


def video(options):
  """Runs the command 'video'."""
  side = str(options.resolution)
  with tempfile.TemporaryDirectory() as folder:
    path, checkpoint = f'{folder}/long.mkv', f'{folder}/random.npz'
    rows.measure(
        save_random, size=options.size, path=checkpoint, decoder_layers=0
    )
    num_frames = repeat(options.video, path, options.seconds)
    samples = watch(
        [
            *(sys.executable, '-m', 'rvm_jax.features', path, '--out', folder),
            *('--checkpoint', checkpoint, '--dtype', 'float16'),
            *('--height', side, '--width', side),
        ]
    )
    files = pathlib.Path(folder, 'long.zarr', 'cls').glob('*.0')
    written = sorted(file.stat().st_mtime for file in files)
  # The files of `cls` are written one by one, so that their times tell how long
  # each chunk of frames took.
  spans = np.diff(written)
  tenth = len(spans) // 10
  early = median_between(samples, written[tenth], written[2 * tenth])
  late = median_between(samples, written[-1 - tenth], written[-1])
  slower = np.median(spans[-tenth:]) / np.median(spans[tenth : 2 * tenth])
  # The last chunk may have fewer frames than the 16 of the others.
  rate = 16 * (len(spans) - 1) / (written[-2] - written[0])
  print(
      f'{num_frames} frames, {options.size}, {side} x {side}: {rate:.2f} frames'
      f' per second, time late/early {slower:.3f}; memory early {early:.3f} GB,'
      f' late {late:.3f} GB, late/early {late / early:.3f}'
  )


def median_between(samples, start, stop):
  """Returns the median of the memory, in GB, between two times."""
  return statistics.median(
      [gigabytes for seconds, gigabytes in samples if start <= seconds <= stop]
  )


def main():
  """Runs the command that the command line names."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  commands = parser.add_subparsers(required=True)
  for command, size in ((video, 'S'), (throughput, None), (load, 'L')):
    sub = commands.add_parser(command.__name__)
    sub.set_defaults(command=command)
    if size:
      sub.add_argument('--size', choices=rvm.SIZES, default=size)
    if command != load:
      sub.add_argument('--resolution', type=int, default=256, help='pixels')
    if command == video:
      sub.add_argument('video')
      sub.add_argument('--seconds', type=float, default=300)
    if command == throughput:
      sub.add_argument('--sizes', nargs='+', choices=rvm.SIZES, required=True)
      sub.add_argument('--dtype', default='float32')
      sub.add_argument('--attention', default='xla')
      sub.add_argument('--max_streams', type=int, default=256)
  options = parser.parse_args()
  options.command(options)


if __name__ == '__main__':
  main()
