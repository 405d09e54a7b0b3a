"""Draws docs/cost.png from the results of `cost.py`."""

import pathlib

import contenders
from matplotlib import lines
from matplotlib import pyplot
import video_cost

PICTURE = pathlib.Path(__file__).parents[1] / 'docs' / 'cost.png'

# Color and line width of each family. The curves of the clip models nearly
# coincide, because they have the same blocks: wide lines lie below narrow ones.
STYLES = {
    'rvm': ('#0072b2', 2.4),
    'dinov2': ('#009e73', 2.0),
    'dinov3': ('#8fbc45', 2.0),
    'videomae': ('#e69f00', 5.0),
    'vjepa': ('#cc79a7', 2.6),
    'vjepa2': ('#a02c2c', 1.2),
}
# Sizes of RVM. Each has a column of the picture, with the rivals of its size.
COLUMNS = ('S', 'B', 'L', 'H')


def draw():
  """Draws FLOPs a frame (top) and memory (bottom), a column for each size."""
  pyplot.rcParams.update({'font.size': 12, 'axes.grid': True})
  figure, axes = pyplot.subplots(
      2, 4, figsize=(15, 8), layout='constrained', sharex=True, sharey='row'
  )
  # RVM is drawn last, above the others.
  results = video_cost.read()
  results = dict(sorted(results.items(), key=is_rvm))
  for column, size in enumerate(COLUMNS):
    flops, memory = axes[:, column]
    flops.set_title(f'RVM-{size} and rivals of its size')
    for name, result in results.items():
      if video_cost.peer(name) == f'rvm.{size}':
        draw_flops(flops, name, result)
        draw_memory(memory, name, result)
    memory.set_xlabel('frames of the video')
  ticks = video_cost.FRAMES[::2]
  for ax in axes.flat:
    ax.set(xscale='log', yscale='log')
    ax.set_xticks(ticks, ticks)
    ax.yaxis.set_major_formatter('{x:g}')
    ax.minorticks_off()
  axes[0, 0].set_ylabel('GFLOPs a frame')
  axes[1, 0].set_ylabel('memory with weights, GB')
  figure.legend(handles=list_handles(), loc='outside lower center', ncols=5)
  figure.savefig(PICTURE, dpi=90)
  print(f'Wrote {PICTURE}')


def draw_flops(ax, name, result):
  """Draws the FLOPs of a frame against the number of frames of the video."""
  color, width = style(name)
  # Frame by frame or in windows.
  frames = video_cost.FRAMES
  values = [video_cost.count_video(result, x) / x / 1e9 for x in frames]
  is_clip = video_cost.is_clip(result)
  ax.plot(frames, values, '--' if is_clip else '-', color=color, lw=width)
  if is_clip:
    # The whole video in one call.
    x, y = zip(*((c['frames'], c['flops']) for c in result['calls']))
    y = [flops / count / 1e9 for count, flops in zip(x, y)]
    ax.plot(x, y, '-', color=color, lw=width)


def draw_memory(ax, name, result):
  """Draws the memory of a call against the number of frames of the video."""
  color, width = style(name)
  frames = video_cost.FRAMES
  is_clip = video_cost.is_clip(result)
  value = video_cost.memory(video_cost.step(result)) / 1e9
  ax.plot(
      frames,
      [value] * len(frames),
      '--' if is_clip else '-',
      color=color,
      lw=width,
  )
  if is_clip:
    x = [call['frames'] for call in result['calls']]
    for key, line in (('temporary', '-'), ('unblocked', ':')):
      y = [video_cost.memory(call, key) / 1e9 for call in result['calls']]
      ax.plot(x, y, line, color=color, lw=width)


def is_rvm(item):
  """Returns whether a pair of an encoder's name and its result is an RVM's."""
  return item[0].startswith('rvm.')


def style(name):
  """Returns the color and the width of an encoder's lines."""
  return STYLES[name.split('.')[0]]


def list_handles():
  """Returns the entries of the legend: encoders by color, ways by line."""
  families = [
      lines.Line2D(
          [], [], color=color, lw=width, label=contenders.FAMILIES[family].title
      )
      for family, (color, width) in STYLES.items()
  ]
  ways = [
      lines.Line2D([], [], color='black', linestyle=line, label=label)
      for line, label in (
          ('--', 'windows of 16 frames'),
          ('-', 'attention over the whole video; RVM, images: frame by frame'),
          (':', 'whole video, all scores in memory at once'),
      )
  ]
  return families + ways
