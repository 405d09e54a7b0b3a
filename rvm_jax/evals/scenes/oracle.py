"""The oracle: features made of ground truth, the best that readouts can get."""

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import clips
from rvm_jax.ops import patches

_FAR = 20.0  # Metres, in place of the sky.
_RATES = 1.0, 2.5  # Of the waves that say where in the room a place is.


class Oracle(encoder_lib.FrozenEncoder):
  """An encoder that ignores the pixels: see `make` and `reveal`."""

  def reveal(self, records: Sequence[clips.Record]) -> 'Oracle':
    """Returns an oracle that knows the ground truth of some clips.

    Args:
      records: the clips. All other clips of their shape get features of zeros.
    """
    known = {r.example['frames'].tobytes(): r.example for r in records}
    unknown = np.zeros_like(describe(records[0].example, self.patch))

    def look_up(frames):
      examples = [known.get(clip.tobytes()) for clip in frames]
      patches = [
          unknown if example is None else describe(example, self.patch)
          for example in examples
      ]
      return encoder_lib.FrameFeatures(np.stack(patches), None)

    return dataclasses.replace(self, function=look_up)


def make(patch: int) -> Oracle:
  """Returns an oracle to which no ground truth is revealed yet.

  Its `encode` raises ValueError: only a benchmark that has ground truth of
  every patch can use it.

  Args:
    patch: P, side of a patch in pixels.
  """

  def refuse(frames):
    del frames
    raise ValueError(
        f'--checkpoint=truth:{patch} is for configs/eval_scenes.py alone: no'
        ' other benchmark tells what is true of each patch'
    )

  return Oracle('oracle', f'truth:{patch}', patch, 'not looked at', refuse)


def describe(example: Mapping[str, np.ndarray], patch: int) -> np.ndarray:
  """What is true of each patch.

  Which object it shows and which part of it, or which place of the room; its
  depth; and where the camera is.

  Args:
    example: of `scenes.clips`.
    patch: side in pixels.

  Returns:
    float32 [T, h, w, D].
  """
  segments, depth = example['segments'], example['depth']
  num_frames, height, width = segments.shape
  grid = patches.grid(height, width, patch)
  far = depth[:, patch // 2 :: patch, patch // 2 :: patch]
  far = np.where(far > 0, far, _FAR)
  rows, columns = np.mgrid[: grid[0], : grid[1]]
  rays = np.stack([columns, rows, np.ones_like(rows)], -1).astype(float)
  rays[..., :2] = rays[..., :2] * patch + patch / 2 + 0.5
  rays = rays @ np.linalg.inv(example['lens']).T
  seen = rays * far[..., None]  # [T, h, w, 3], in each camera's axes.
  moves = example['cameras'].reshape(num_frames, 12)
  rotation = moves[:, :9].reshape(-1, 3, 3)
  offset = seen - moves[:, None, None, 9:]
  room = np.einsum('tji,thwj->thwi', rotation, offset)  # In the first one's.
  shares = segments.reshape(num_frames, grid[0], patch, grid[1], patch)
  kinds = np.arange(1 + clips.MAX_OBJECTS)
  shares = (shares[..., None] == kinds).mean((2, 4))
  waves = np.concatenate(
      [f(room * rate) for rate in _RATES for f in (np.sin, np.cos)], -1
  )
  waves *= shares[..., :1]
  camera = np.broadcast_to(moves[:, None, None], (num_frames, *grid, 12))
  return np.concatenate(
      [3 * shares, waves, np.log(far)[..., None], 0.5 * camera], -1
  ).astype(np.float32)
