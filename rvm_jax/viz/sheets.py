"""Sheets of small pictures in rows and columns, with captions."""

from collections.abc import Mapping, Sequence
import os

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from rvm_jax.ops import patches
from rvm_jax.viz import colors

_CELL = 128  # Pixels: small pictures are scaled up to about this height.
_GAP = 4
_LINE = 22
_FONT_SIZE = 14
_PAPER, _INK, _GREY = 255, (40, 40, 40), 128
_OPACITY = 0.65


def reconstruction_sheet(
    source: np.ndarray,
    target: np.ndarray,
    visible: np.ndarray,
    pixels: np.ndarray,
    patch: int,
) -> np.ndarray:
  """One row a clip: source frames; each target masked, reconstructed, true.

  Args:
    source: uint8 [B, T, H, W, 3].
    target: uint8 [B, K, H, W, 3].
    visible: int [B, K, V], raster indices of the patches that the model saw.
    pixels: float [B, K, H, W, 3], the reconstruction; cut to [0, 1].
    patch: side of a patch in pixels.

  Returns:
    uint8 [height, width, 3]; hidden patches are grey.
  """
  masked = hide_patches(target, visible, patch)
  rebuilt = colors.to_bytes(pixels)
  num_targets = target.shape[1]
  columns = [f'source {i + 1}' for i in range(source.shape[1])]
  for i in range(num_targets):
    name = f'target {i + 1}' if num_targets > 1 else 'target'
    columns += [f'{name}, as seen', 'reconstruction', name]
  targets = np.stack([masked, rebuilt, target], 2)  # [B, K, 3, H, W, 3]
  targets = targets.reshape(len(target), -1, *target.shape[2:])
  cells = np.concatenate([source, targets], 1)
  groups = [source.shape[1] + 3 * i for i in range(num_targets)]
  return _sheet(cells, columns, [''] * len(cells), groups)


def mask_sheet(
    frames: np.ndarray,
    segments: Mapping[str, np.ndarray],
    times: Sequence[int] | None = None,
) -> np.ndarray:
  """Frames of one video in columns; a row each for the masks of a method.

  Args:
    frames: uint8 [F, H, W, 3].
    segments: name -> int [F, H, W]; 0 is the background, an object has one
      colour in all rows.
    times: int, ascending, the frames to show; six spread evenly if None.

  Returns:
    uint8 [height, width, 3].
  """
  times = spread(len(frames)) if times is None else np.asarray(times, int)
  shown = frames[times]
  rows = [shown] + [_overlay(shown, s[times]) for s in segments.values()]
  return _sheet(
      np.stack(rows), [f'frame {t}' for t in times], ['frames', *segments]
  )


def panel_sheet(
    panels: Mapping[str, np.ndarray], times: Sequence[int]
) -> np.ndarray:
  """Moments of a video in columns; a row each for the pictures of a kind.

  Args:
    panels: name -> uint8 [F, H, W, 3], of one shape.
    times: int [F], the frame of the video that each picture shows.

  Returns:
    uint8 [height, width, 3].
  """
  cells = np.stack(list(panels.values()))
  return _sheet(cells, [f'frame {t}' for t in times], list(panels))


def spread(num_frames: int) -> np.ndarray:
  """Six frames (fewer of a shorter video), from the first to the last."""
  times = np.linspace(0, num_frames - 1, min(6, num_frames))
  return times.round().astype(int)


def hide_patches(
    images: np.ndarray, visible: np.ndarray, patch: int
) -> np.ndarray:
  """Greys all patches of images but those that the model saw.

  Args:
    images: uint8 [..., H, W, 3].
    visible: int [..., V], raster indices of the patches to keep.
    patch: side of a patch in pixels.

  Returns:
    uint8 [..., H, W, 3].
  """
  cut = patches.patchify(images, patch)  # [..., N, P * P * 3]
  shown = np.zeros(cut.shape[:-1], bool)
  np.put_along_axis(shown, np.asarray(visible), True, -1)
  return patches.unpatchify(
      np.where(shown[..., None], cut, np.uint8(_GREY)),
      *images.shape[-3:-1],
      patch,
  )


def save_png(path: str | os.PathLike, image: np.ndarray):
  """Writes uint8 [height, width, 3] to a PNG file."""
  Image.fromarray(image).save(path, format='PNG')


def _sheet(cells, columns, rows, groups=()):
  """Lays out cells, uint8 [R, C, H, W, 3]; space before columns `groups`."""
  _, _, height, width, _ = cells.shape
  scale = max(1, round(_CELL / height))
  font = ImageFont.load_default(_FONT_SIZE)
  margin = max(int(font.getlength(name)) for name in rows)
  margin = margin + 2 * _GAP if margin else _GAP
  height, width = height * scale, width * scale
  # A caption that is wider than its column widens all of them.
  step = _GAP + max(width, max(int(font.getlength(c)) + 1 for c in columns))
  left = [
      margin + step * i + 4 * _GAP * sum(g <= i for g in groups)
      for i in range(len(columns))
  ]
  top = [_LINE + (height + _GAP) * i for i in range(len(rows))]
  sheet = Image.new(
      'RGB', (left[-1] + step, top[-1] + height + _GAP), (_PAPER,) * 3
  )
  draw = ImageDraw.Draw(sheet)
  for x, name in zip(left, columns):
    draw.text((x + width / 2, _LINE / 2), name, _INK, font, anchor='mm')
  for y, name in zip(top, rows):
    draw.text((margin - _GAP, y + height / 2), name, _INK, font, anchor='rm')
  for y, row in zip(top, cells):
    for x, cell in zip(left, row):
      picture = Image.fromarray(cell)
      size = width, height
      sheet.paste(picture.resize(size, Image.Resampling.NEAREST), (x, y))
  return np.asarray(sheet)


def _overlay(frames, segments):
  """Lays the colours of `segments` [F, H, W] over frames [F, H, W, 3]."""
  kinds = (np.asarray(segments, int) - 1) % len(colors.KINDS)
  grey = frames.mean(-1, keepdims=True)
  # Objects lose their own colours, the background fades and darkens.
  objects = (1 - _OPACITY) * grey + _OPACITY * colors.KINDS[kinds]
  mixed = np.where((segments > 0)[..., None], objects, 0.3 * (grey + frames))
  return np.rint(mixed).astype(np.uint8)
