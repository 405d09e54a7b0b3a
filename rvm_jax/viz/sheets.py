"""Sheets: small pictures in rows and columns, with captions."""

from collections.abc import Mapping, Sequence
import os

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from rvm_jax.ops import patches
from rvm_jax.viz import colors

# Lengths in pixels. Small pictures are enlarged to about the height of a cell.
_CELL = 128
_GAP = 4
_LINE = 22
_FONT_SIZE = 14
_PAPER, _INK, _GREY = 255, (40, 40, 40), 128
# Opacity of an object's colour over the frame.
_OPACITY = 0.65


def reconstruction_sheet(
    source: np.ndarray,
    target: np.ndarray,
    visible: np.ndarray,
    pixels: np.ndarray,
    patch: int,
) -> np.ndarray:
  """Draws reconstructions in a row for each sample.

  A row holds the source frames, then for each target frame what the model saw
  of it, the reconstruction and the target itself. Hidden patches are grey.

  Args:
    source: source frames, uint8 [B, T, H, W, 3].
    target: target frames, uint8 [B, K, H, W, 3].
    visible: raster indices of the target patches that the model saw, int
      [B, K, V].
    pixels: reconstructed target frames, float [B, K, H, W, 3]; values are
      clipped to [0, 1].
    patch: side of a patch in pixels.

  Returns:
    uint8 [height, width, 3].
  """
  num_sources, num_targets = source.shape[1], target.shape[1]
  columns = [f'source {i + 1}' for i in range(num_sources)]
  for i in range(num_targets):
    name = f'target {i + 1}' if num_targets > 1 else 'target'
    columns += [f'{name}, as seen', 'reconstruction', name]
  # Three pictures of each target frame, [B, K, 3, H, W, 3], become columns:
  # [B, K * 3, H, W, 3].
  targets = np.stack(
      [
          hide_patches(target, visible, patch),
          colors.to_bytes(pixels),
          target,
      ],
      axis=2,
  )
  targets = targets.reshape(len(target), -1, *target.shape[2:])
  cells = np.concatenate([source, targets], 1)
  groups = [num_sources + 3 * i for i in range(num_targets)]
  return _sheet(cells, columns, [''] * len(cells), groups)


def mask_sheet(
    frames: np.ndarray,
    segments: Mapping[str, np.ndarray],
    times: Sequence[int] | None = None,
) -> np.ndarray:
  """Draws frames of one video in a row, and masks over them in further rows.

  Args:
    frames: frames of the video, uint8 [T, H, W, 3].
    segments: masks by the name of their row, int [T, H, W]. 0 is the
      background; an object has the same colour in all rows.
    times: indices of the frames to show, in ascending order; None shows those
      that `spread` chooses.

  Returns:
    uint8 [height, width, 3].
  """
  times = spread(len(frames)) if times is None else np.asarray(times, int)
  shown = frames[times]
  rows = [shown] + [tint_objects(shown, s[times]) for s in segments.values()]
  return _sheet(
      np.stack(rows), [f'frame {t}' for t in times], ['frames', *segments]
  )


def panel_sheet(
    panels: Mapping[str, np.ndarray], times: Sequence[int]
) -> np.ndarray:
  """Draws pictures in a row for each kind and a column for each frame.

  Args:
    panels: pictures by the name of their row, uint8 [F, H, W, 3], of one shape.
    times: index of the video's frame that each column shows, int [F].

  Returns:
    uint8 [height, width, 3].
  """
  cells = np.stack(list(panels.values()))
  return _sheet(cells, [f'frame {t}' for t in times], list(panels))


def spread(num_frames: int) -> np.ndarray:
  """Chooses six evenly spaced frames, the first and the last among them.

  Args:
    num_frames: number of frames of the video, at least 1.

  Returns:
    Indices of the frames in ascending order, int [6]; of a video with fewer
    frames, the indices of all.
  """
  times = np.linspace(0, num_frames - 1, min(6, num_frames))
  return times.round().astype(int)


def hide_patches(
    images: np.ndarray, visible: np.ndarray, patch: int
) -> np.ndarray:
  """Makes all patches grey but those that the model saw.

  Args:
    images: uint8 [..., H, W, 3].
    visible: raster indices of the patches to keep, int [..., V].
    patch: side of a patch in pixels.

  Returns:
    uint8 [..., H, W, 3].
  """
  patched = patches.patchify(images, patch)  # [..., N, P * P * 3]
  is_visible = np.zeros(patched.shape[:-1], bool)
  np.put_along_axis(is_visible, np.asarray(visible), True, -1)
  return patches.unpatchify(
      np.where(is_visible[..., None], patched, np.uint8(_GREY)),
      *images.shape[-3:-1],
      patch,
  )


def tint_objects(frames: np.ndarray, segments: np.ndarray) -> np.ndarray:
  """Draws masks over frames: objects in colours, the background pale and dark.

  Args:
    frames: uint8 [F, H, W, 3].
    segments: masks, int [F, H, W]. 0 is the background; an object has the same
      colour in all frames.

  Returns:
    uint8 [F, H, W, 3].
  """
  kinds = (np.asarray(segments, int) - 1) % len(colors.KINDS)
  grey = frames.mean(-1, keepdims=True)
  # Objects become grey, so that the tint alone gives their colour. The
  # background fades and darkens.
  objects = (1 - _OPACITY) * grey + _OPACITY * colors.KINDS[kinds]
  mixed = np.where((segments > 0)[..., None], objects, 0.3 * (grey + frames))
  return np.rint(mixed).astype(np.uint8)


def save_png(path: str | os.PathLike, image: np.ndarray):
  """Writes an image, uint8 [height, width, 3], to a PNG file."""
  Image.fromarray(image).save(path, format='PNG')


def _sheet(cells, columns, rows, groups=()):
  """Places cells in a grid with the captions of columns and rows.

  Args:
    cells: pictures, uint8 [rows, columns, H, W, 3].
    columns: caption above each column.
    rows: caption beside each row; all may be empty.
    groups: columns that have additional space before them.

  Returns:
    uint8 [height, width, 3].
  """
  _, _, height, width, _ = cells.shape
  scale = max(1, round(_CELL / height))
  font = ImageFont.load_default(_FONT_SIZE)
  height, width = height * scale, width * scale
  # Left and upper edges of the cells. The widest caption of a row sets the
  # margin; a caption that is wider than its column widens all columns.
  margin = max(int(font.getlength(name)) for name in rows)
  margin = margin + 2 * _GAP if margin else _GAP
  step = _GAP + max(width, max(int(font.getlength(c)) + 1 for c in columns))
  left = [
      margin + step * i + 4 * _GAP * sum(group <= i for group in groups)
      for i in range(len(columns))
  ]
  top = [_LINE + (height + _GAP) * i for i in range(len(rows))]
  sheet = Image.new(
      'RGB', (left[-1] + step, top[-1] + height + _GAP), (_PAPER,) * 3
  )
  pen = ImageDraw.Draw(sheet)
  for x, name in zip(left, columns):
    pen.text((x + width / 2, _LINE / 2), name, _INK, font, anchor='mm')
  for y, name in zip(top, rows):
    pen.text((margin - _GAP, y + height / 2), name, _INK, font, anchor='rm')
  for y, row in zip(top, cells):
    for x, cell in zip(left, row):
      picture = Image.fromarray(cell)
      size = width, height
      sheet.paste(picture.resize(size, Image.Resampling.NEAREST), (x, y))
  return np.asarray(sheet)
