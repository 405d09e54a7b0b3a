"""Resizing of crops on the devices, before the objective sees them.

A box is the part of a decoded frame that becomes a crop. With
`config.data.box_height` and `box_width` the host sends boxes up to this size as
they are, and resizes larger ones. A step then begins by resizing and flipping
the boxes. Objectives get frames of their usual size in either case.
"""

from collections.abc import Mapping
from typing import Any

import jax
import ml_collections

from rvm_jax.ops import resizing
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols

# Names of the arrays that a batch of boxes has besides the frames:
# `data.pipeline` describes them.
_SIZE, _FLIP = 'box_size', 'is_flipped'


def shapes_sent(
    shapes: Mapping[str, jax.ShapeDtypeStruct], data: ml_collections.ConfigDict
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns shapes and dtypes of the arrays that are sent to the devices.

  They are those of the whole batch, over all hosts.

  Args:
    shapes: shapes and dtypes of the arrays that the objective takes.
    data: the `data` group of a run's config, as in configs/rvm_base.py.
  """
  sent = dict(shapes)
  if data.box_height is None:
    return sent
  for key, shape in shapes.items():
    if shape.ndim == 5:  # [B, T, H, W, 3]
      size = data.box_height, data.box_width, 3
      sent[key] = jax.ShapeDtypeStruct((*shape.shape[:2], *size), shape.dtype)
  return sent | {
      _SIZE: jax.ShapeDtypeStruct((data.batch_size, 2), 'int32'),
      _FLIP: jax.ShapeDtypeStruct((data.batch_size,), 'bool'),
  }


def select(
    batch: Mapping[str, Any], shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, Any]:
  """Returns the arrays of a batch that a step takes.

  They are the arrays that the objective takes and, in a batch of boxes, the
  sizes of the boxes and whether each is flipped.

  Args:
    batch: arrays by name, as `data.pipeline` describes them.
    shapes: shapes and dtypes of the arrays that the objective takes.
  """
  boxes = (_SIZE, _FLIP) if _SIZE in batch else ()
  return {key: batch[key] for key in (*shapes, *boxes)}


def resize(
    batch: protocols.Batch, shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> protocols.Batch:
  """Resizes and flips the boxes of a batch.

  Each device resizes the boxes of its own rows.

  Args:
    batch: arrays as `select` returns them.
    shapes: shapes and dtypes of the arrays that the objective takes.

  Returns:
    The arrays that the objective takes. A batch without boxes is returned as it
    is.
  """
  if _SIZE not in batch:
    return batch

  def resize_rows(_, frames, sizes, is_flipped):
    return resizing.resize(frames, sizes, is_flipped, *size)

  resized = {}
  for key, shape in shapes.items():
    resized[key] = batch[key]
    if shape.ndim == 5:  # [B, T, H, W, 3]
      size = shape.shape[2:4]
      resized[key] = mesh_lib.map_rows(resize_rows)(
          (), batch[key], batch[_SIZE], batch[_FLIP]
      )
  return resized
