"""What using a model takes: a long video, streams side by side, loading.

  python benchmarks/usage.py video VIDEO --seconds=300
  python benchmarks/usage.py throughput --sizes S B L --dtype=bfloat16
  python benchmarks/usage.py load --size=L

video: the file is played again and again to the length asked for, and goes
through `python -m rvm_jax.features`, decoding and writing included. Its memory
is sampled from outside. Late and early are the last tenth of the frames and the
second: what is set up once falls into the first.

throughput: frames per second from host to host, of one stream, of two, four ...
until twice as many gain less than 10 %; beside the same model run naively, one
frame a call of `encode`, waiting for each.

load: `rvm_jax.load` of an archive with the true shapes and random values.

Weights are random: they cost the same.
"""

import argparse
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

NUM_TIMED = 64  # Frames of each stream in a call.


def save_random(size: str, path: str, **how) -> dict:
  """Writes an archive in the released layout."""
  model = rvm.RVM(**rvm.SIZES[size], **how)
  weights.save_npz(path, rows.random_like(released.shapes(model)))
  return {}


def measure_load(path: str) -> dict:
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
  """Frames per second of `batch` streams."""
  model, params = rows.make_rvm(size, dtype=dtype, attention=attention)
  encoder = streaming.Encoder(model, params)
  video = np.stack([rows.random_frames(NUM_TIMED, resolution)] * batch)
  call = lambda: encoder(video)
  if is_naive:
    first = encoder.init(batch, resolution, resolution)
    encode = jax.jit(
        lambda p, x, s: model.apply(
            {'params': p}, images.to_float(x), s, method='encode'
        )
    )

    def call():
      state = first
      for t in range(NUM_TIMED):
        frame = video[:, t : t + 1]
        features, state = encode(encoder.params, frame, state)
        np.asarray(features)

  call()  # Compiles.
  seconds = []
  for _ in range(3):
    start = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - start)
  rate = batch * NUM_TIMED / statistics.median(seconds)
  return {'rate': rate, 'memory': rows.peak_memory()}


def throughput(options):
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
  """Copies a video again and again into another; returns its frames."""
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
  """Runs a command; returns its memory over time, (seconds, GB)."""
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
  spans = np.diff(written)
  tenth = len(spans) // 10
  memory = lambda start, stop: statistics.median(
      [gigabytes for at, gigabytes in samples if start <= at <= stop]
  )
  early = memory(written[tenth], written[2 * tenth])
  late = memory(written[-1 - tenth], written[-1])
  slower = np.median(spans[-tenth:]) / np.median(spans[tenth : 2 * tenth])
  # The last chunk may hold less than the others.
  rate = 16 * (len(spans) - 1) / (written[-2] - written[0])
  print(
      f'{num_frames} frames, {options.size}, {side} x {side}: {rate:.2f} frames'
      f' per second, time late/early {slower:.3f}; memory early {early:.3f} GB,'
      f' late {late:.3f} GB, late/early {late / early:.3f}'
  )


def main():
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
