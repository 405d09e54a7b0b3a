"""Makes tiny rivals for tests: modules without attention, and checkpoints."""

import json
import pathlib
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy



GOLDEN = pathlib.Path(__file__).parent / 'golden'
FAMILIES = 'dinov2', 'dinov3', 'videomae', 'vjepa', 'vjepa2'
PATCH = 4


class ImageMeans(nn.Module):
  """Returns two prefix tokens, 1 and 2, and the mean colour of each patch."""

  family: ClassVar[str] = 'dinov2'
  tubelet: ClassVar[int] = 1
  num_prefix: ClassVar[int] = 2
  width: int = 3
  depth: int = 1
  patch: int = PATCH
  dtype: str = 'float32'

  def __call__(self, frames: jax.Array) -> jax.Array:
    means = average_patches(frames).reshape(-1, *grid(frames), 3)
    means = means.reshape(len(means), -1, 3)
    prefix = jnp.ones((len(means), 1, 3))
    return jnp.concatenate([prefix, 2 * prefix, means], 1)


class ClipMeans(nn.Module):
  """Returns the mean colour of each tubelet of two frames."""

  family: ClassVar[str] = 'videomae'
  tubelet: ClassVar[int] = 2
  num_prefix: ClassVar[int] = 0
  width: int = 3
  depth: int = 1
  patch: int = PATCH
  num_frames: int = 4
  dtype: str = 'float32'

  def __call__(self, frames: jax.Array) -> jax.Array:
    batch, time, *_ = frames.shape
    means = average_patches(frames).reshape(batch, time // 2, 2, -1, 3)
    return means.mean(2).reshape(batch, -1, 3)


def grid(frames):
  """Returns rows and columns of patches of frames [..., H, W, 3]."""
  return frames.shape[-3] // PATCH, frames.shape[-2] // PATCH


def average_patches(frames):
  """Returns mean colours of whole patches, [..., h, w, 3]."""
  rows, columns = grid(frames)
  frames = frames[..., : rows * PATCH, : columns * PATCH, :]
  lead = frames.shape[:-3]
  cut = frames.reshape(*lead, rows, PATCH, columns, PATCH, 3)
  return cut.mean((-4, -2))


def write(folder: pathlib.Path, family: str) -> pathlib.Path:
  """Writes a tiny checkpoint with random parameters.

  Args:
    folder: folder to write into, which is made.
    family: one of `FAMILIES`.

  Returns:
    The path to load: a folder of Hugging Face, or of V-JEPA 1 a file, which can
    be loaded within `vjepa_is_tiny`.
  """
  folder.mkdir(parents=True, exist_ok=True)
  with np.load(GOLDEN / f'{family}.npz') as archive:
    config = archive['config'].item()
    params = {
        key.removeprefix('params/'): archive[key]
        for key in archive.files
        if key.startswith('params/')
    }
  path = folder / 'model.safetensors'
  safetensors_numpy.save_file(params, path)
  if family == 'vjepa':
    return path
  (folder / 'config.json').write_text(config)
  return folder


def let_vjepa_be_tiny(monkeypatch):
  """Tells how many heads the tiny V-JEPA 1 has, which its file does not."""
  with np.load(GOLDEN / 'vjepa.npz') as archive:
    config = json.loads(archive['config'].item())
  monkeypatch.setitem(vjepa.HEADS, config['width'], config['num_heads'])
