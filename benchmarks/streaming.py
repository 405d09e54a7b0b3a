"""Measures the time and memory of a frame, in streams and in whole clips.

  python benchmarks/streaming.py --frames 1 2 4 8 16 32 64 256 1024
  python benchmarks/streaming.py --frames 100000 --resolution=32 --chunk=16
  python benchmarks/streaming.py --plot

Two encoders are compared: RVM as a stream, with --chunk frames a call, and a
ViT with the same blocks and width and about as many parameters, which attends
to all tokens of a clip at once.

If the compiler says that the ViT needs more than 12 GB, it is not run. It is
ended after 150 seconds, and a stream after 20 minutes of calls. The rows of the
table note this.

Late/early is the median over the last quarter of the calls, divided by the
median over the first quarter: of the time of a call, and of the memory in use
after it. Peak memory is that of the accelerator, or without one that of the
process, libraries included. Rows are written to streaming.json beside this
script; --plot draws docs/streaming.png from them.
"""

import argparse
import json
import pathlib
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import rows

from rvm_jax import streaming
from rvm_jax.models import rvm
from rvm_jax.models import vit
from rvm_jax.ops import images
from rvm_jax.ops import patches
from rvm_jax.ops import positions
from rvm_jax.weights import released

RESULTS = pathlib.Path(__file__).with_suffix('.json')
PICTURE = pathlib.Path(__file__).parents[1] / 'docs' / 'streaming.png'
# Limits of the ViT, and then of a stream.
CLIP_GIGABYTES, CLIP_SECONDS = 12, 150
STREAM_SECONDS = 1200
# Columns of the printed table, and their keys in the results.
COLUMNS = ('ms/frame', 'late/early', 'GB', 'late/early')
KEYS = ('ms', 'time_ratio', 'memory', 'memory_ratio')


class ClipEncoder(nn.Module):
  """A ViT over all tokens of a clip: uint8 [T, H, W, 3] to [T * N, D].

  Attributes:
    size: a key of `rvm.SIZES`, which gives widths and heads.
    num_layers: number of blocks.
  """

  size: str
  num_layers: int

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    sizes, patch = rvm.SIZES[self.size], rvm.RVM.patch
    width = sizes['width']
    rows_columns = patches.grid(*frames.shape[1:3], patch)
    tokens = vit.Tokenizer(width, patch, jnp.float32, name='tokenizer')(
        patches.patchify(images.to_float(frames), patch),
        positions.encoder_table(*rows_columns, width),
    )  # [T, N, D]
    tokens += positions.sinusoid(len(frames), width)[:, None]
    return vit.VisionTransformer(
        self.num_layers,
        sizes['encoder_heads'],
        sizes['encoder_mlp'],
        jnp.float32,
        'xla',
        'none',
    )(tokens.reshape(1, -1, width))[0]


def clip_encoder(size: str) -> ClipEncoder:
  """Returns the ViT whose number of parameters is nearest to RVM's."""

  def count(num_layers):
    return rows.count_params(clip_shapes(ClipEncoder(size, num_layers)))

  model = rvm.RVM(**rvm.SIZES[size], decoder_layers=0)
  wanted = rows.count_params(released.shapes(model))
  return ClipEncoder(size, round((wanted - count(0)) / (count(1) - count(0))))


def clip_shapes(model: ClipEncoder):
  """Returns the shapes of a ViT's parameters, whatever the clip's size."""
  frames = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.uint8)
  return jax.eval_shape(model.init, jax.random.key(0), frames)['params']


def measure_stream(size, resolution, frames, chunk) -> dict:
  """Measures a stream, whose features are fetched and dropped.

  Args:
    size: a key of `rvm.SIZES`.
    resolution: height and width of the frames in pixels.
    frames: number of frames in the stream.
    chunk: number of frames in a call.

  Returns:
    Number of 'parameters', 'ms' per frame, peak 'memory' in GB and a 'note'.
    With four calls or more also 'time_ratio' and 'memory_ratio', late/early.
  """
  encoder = streaming.Encoder(*rows.make_rvm(size), chunk=chunk)
  images = rows.random_frames(chunk, resolution)
  state = encoder.init(1, resolution, resolution)
  # The first call compiles.
  encoder(images, state)
  seconds, memory = [], []
  while chunk * len(seconds) < frames and sum(seconds) < STREAM_SECONDS:
    start = time.perf_counter()
    state = encoder(images, state).state
    seconds.append(time.perf_counter() - start)
    memory.append(resident_pages())
  num_done = chunk * len(seconds)
  result = {
      'parameters': rows.count_params(encoder.params),
      'ms': 1e3 * statistics.median(seconds) / chunk,
      'memory': rows.peak_memory(),
      'note': '' if num_done >= frames else f'ended after {num_done} frames',
  }
  if quarter := len(seconds) // 4:
    for key, x in (('time_ratio', seconds), ('memory_ratio', memory)):
      late, early = x[-quarter:], x[:quarter]
      result[key] = statistics.median(late) / statistics.median(early)
  return result


def measure_clip(size, resolution, frames) -> dict:
  """Measures the ViT on a clip; its time is that of the fastest of three calls.

  Args:
    size: a key of `rvm.SIZES`.
    resolution: height and width of the frames in pixels.
    frames: number of frames in the clip.

  Returns:
    Number of 'parameters', 'ms' per frame, peak 'memory' in GB and a 'note'. If
    the ViT needs too much memory, it is not run: there is no 'ms', and 'memory'
    is what the compiler says that it needs.
  """
  model = clip_encoder(size)
  images = rows.random_frames(frames, resolution)
  shapes = clip_shapes(model)
  result = {'parameters': rows.count_params(shapes)}
  run = jax.jit(lambda p, x: model.apply({'params': p}, x))
  run = run.lower(shapes, images).compile()
  plan = run.memory_analysis()
  gigabytes = 1e-9 * (
      plan.temp_size_in_bytes
      + plan.argument_size_in_bytes
      + plan.output_size_in_bytes
  )
  if gigabytes > CLIP_GIGABYTES:
    note = f'not run: needs over {CLIP_GIGABYTES} GB'
    return result | {'memory': gigabytes, 'note': note}
  params = jax.device_put(rows.random_like(shapes))
  seconds = []
  while len(seconds) < 3 and sum(seconds) < CLIP_SECONDS / 4:
    start = time.perf_counter()
    np.asarray(run(params, images))
    seconds.append(time.perf_counter() - start)
  milliseconds = 1e3 * min(seconds) / frames
  return result | {'ms': milliseconds, 'memory': rows.peak_memory(), 'note': ''}


def resident_pages() -> int:
  """Returns the resident memory of this process now, in pages."""
  return int(pathlib.Path('/proc/self/statm').read_text().split()[1])


def plot(size: str, resolution: int):
  """Draws the rows of a size and a resolution to docs/streaming.png."""
  # Measuring does not need matplotlib.
  from matplotlib import pyplot
  from matplotlib import ticker

  results = [
      row
      for row in json.loads(RESULTS.read_text())
      if (row['size'], row['resolution']) == (size, resolution)
  ]
  results.sort(key=lambda row: row['frames'])
  pyplot.rcParams.update({'font.size': 13, 'axes.grid': True})
  figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.6), layout='constrained')
  for ax, key, title in zip(
      axes, ('ms', 'memory'), ('Time for a frame, ms', 'Peak memory, GB')
  ):
    for encoder, label, color, marker in (
        ('clip', 'attention to the whole clip', '#c78600', 's'),
        ('stream', 'RVM, streaming', '#0072b2', 'o'),
    ):
      chosen = [
          row for row in results if row['encoder'] == encoder and key in row
      ]
      for is_run, style in (
          (True, dict(linewidth=2.5, label=label)),
          (False, dict(linestyle=':', mfc='none', label='needed, not run')),
      ):
        points = [row for row in chosen if ('ms' in row) == is_run]
        if points:
          x, y = zip(*((row['frames'], row[key]) for row in points))
          ax.plot(x, y, color=color, marker=marker, **style)
    ticks = sorted({row['frames'] for row in results})
    ax.set(xscale='log', yscale='log', xlabel='frames of the video')
    ax.set_title(title)
    ax.set_xticks(ticks, ticks)
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter('{x:g}')
    ax.minorticks_off()
    ax.legend(loc='center right', fontsize=11)
  figure.suptitle(
      f'RVM-{size} and a ViT as large, {resolution} x {resolution} pixels'
  )
  figure.savefig(PICTURE, dpi=100)
  print(f'Wrote {PICTURE}')


def main():
  """Measures and plots as the command line says."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--size', choices=rvm.SIZES, default='S')
  parser.add_argument('--resolution', type=int, default=256, help='pixels')
  parser.add_argument(
      '--frames', type=int, nargs='+', default=[], help='lengths of videos'
  )
  parser.add_argument('--chunk', type=int, default=1, help='frames a call')
  parser.add_argument(
      '--plot', action='store_true', help='draw docs/streaming.png'
  )
  options = parser.parse_args()

  results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
  print('encoder size pixels  frames' + ''.join(f'{c:>12}' for c in COLUMNS))
  for frames in options.frames:
    what = dict(size=options.size, resolution=options.resolution, frames=frames)
    chunk = min(options.chunk, frames)
    ended = {'note': f'ended after {CLIP_SECONDS} s'}
    for encoder, result in (
        ('stream', rows.measure(measure_stream, chunk=chunk, **what)),
        ('clip', rows.measure(measure_clip, CLIP_SECONDS, **what) or ended),
    ):
      # The row replaces an older one of the same measurement.
      row = what | {'encoder': encoder}
      results = [old for old in results if not row.items() <= old.items()]
      results.append(row | result)
      numbers = [f'{result[k]:.3f}' if k in result else '-' for k in KEYS]
      print(
          f'{encoder:7}{options.size:>5}{options.resolution:7}{frames:8}'
          + ''.join(f'{number:>12}' for number in numbers)
          + f'  {result["note"]}',
          flush=True,
      )
      RESULTS.write_text(json.dumps(results, indent=1) + '\n')
  if options.plot:
    plot(options.size, options.resolution)


if __name__ == '__main__':
  main()
