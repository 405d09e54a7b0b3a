"""The one contract of the evaluations: a model is a feature function.

A benchmark hands frames to `Model.encode` and gets numbers for every patch of
every frame; how pixels are scaled and what is carried over time are the
model's own affair. Another encoder is one file that builds a `Model`, and one
line in `_KINDS`.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import NamedTuple

import jax
from jax.sharding import AxisType, Mesh
import numpy as np

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.models import rvm
from rvm_jax.ops import patches as patches_lib
from rvm_jax.weights import trees


class Features(NamedTuple):
  """What a model says about each frame of videos.

  Attributes:
    patches: np.float32 [B, T, h, w, D], a vector for each patch.
    cls: np.float32 [B, T, D], a vector for the frame, or None.
  """

  patches: np.ndarray
  cls: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Model:
  """A frozen encoder, all that a benchmark knows of it.

  Attributes:
    name: for tables.
    identity: the same for the same features: `weights.trees.fingerprint` of
      the parameters, where there are any.
    patch: P, side of a patch in pixels; h = H // P and w = W // P.
    scaling: what is done to pixels, in words, for the result file.
    function: `encode`, without its checks.
    is_truth: it looks at nothing; `scenes.benchmark` tells it what is true.
  """

  name: str
  identity: str
  patch: int
  scaling: str
  function: Callable[[np.ndarray], Features]
  is_truth: bool = False

  def encode(self, frames: np.ndarray) -> Features:
    """Encodes whole videos, from their first frames on.

    Args:
      frames: uint8 [B, T, H, W, 3].

    Returns:
      Features.

    Raises:
      ValueError: frames of another shape or dtype, or of sides that the model
        cannot cut into patches; or the model does not keep to the contract.
    """
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[-1] != 3:
      raise ValueError(
          'frames must be uint8 [B, T, H, W, 3], got'
          f' {frames.dtype} {frames.shape}'
      )
    found = self.function(frames)
    batch, time, height, width, _ = frames.shape
    wanted = batch, time, height // self.patch, width // self.patch
    shapes = [found.patches.shape[:4]]
    if found.cls is not None:
      shapes.append((*found.cls.shape[:2], *wanted[2:]))
    if any(shape != wanted for shape in shapes):
      raise ValueError(
          f'{self.name} must give patches {[*wanted, "D"]} and cls'
          f' {[batch, time, "D"]} for frames {frames.shape}, got'
          f' {[x.shape for x in found if x is not None]}'
      )
    return found


def load(checkpoint: str) -> Model:
  """The model that a command names.

  Args:
    checkpoint: a path that `rvm_jax.load` reads; 'untrained:PATH' for fresh
      parameters of that checkpoint's sizes; 'raw:16' for plain pixels in
      patches of 16 a side; 'truth:16' for what is true of such patches, where
      the benchmark knows it.

  Raises:
    FileNotFoundError: nothing there, or no checkpoint of a run.
    ValueError: not a checkpoint of RVM, or no such patch.
  """
  kind, _, rest = checkpoint.partition(':')
  if kind in _KINDS:
    return _KINDS[kind](rest)
  model, params = weights.load(checkpoint)
  return stream(_name(model), model, params)


def raw_patches(patch: int) -> Model:
  """A floor: every patch's pixels, D = patch * patch * 3."""

  def encode(frames):
    batch, time, height, width, _ = frames.shape
    grid = patches_lib.grid(height, width, patch)
    pixels = patches_lib.patchify(frames, patch).astype(np.float32) / 255
    return Features(pixels.reshape(batch, time, *grid, -1), None)

  return Model('raw pixels', f'raw:{patch}', patch, 'RGB in [0, 1]', encode)


def stream(name: str, model: rvm.RVM, params) -> Model:
  """RVM: the state after each frame, never reset within a video.

  The devices of this process share the videos of a batch; a video alone is
  encoded on the first of them, and a batch that does not come out even is
  filled up with its last video.

  Args:
    name: for tables.
    model: RVM; H and W of the frames must be multiples of its patch.
    params: its parameters.

  Returns:
    A model with D = model.width, and a cls.
  """

  @functools.cache  # Parameters go to the devices that are used.
  def make_encoder(num_devices):
    devices = np.array(jax.local_devices()[:num_devices])
    mesh = Mesh(devices, ('batch',), axis_types=(AxisType.Auto,))
    return streaming.Encoder(model, params, mesh=mesh), mesh

  def encode(frames):
    batch = len(frames)
    num_devices = 1 if batch == 1 else jax.local_device_count()
    encoder, mesh = make_encoder(num_devices)
    fill = -batch % num_devices
    if fill:
      frames = np.concatenate([frames, np.repeat(frames[-1:], fill, 0)])
    with jax.set_mesh(mesh):  # Not that of a caller, who may be training.
      found = encoder(frames)
    return Features(found.patches[:batch], found.cls[:batch])

  return Model(
      name, trees.fingerprint(params), model.patch, 'RGB in [0, 1]', encode
  )


def the_truth(patch: int) -> Model:
  """A ceiling, for benchmarks that tell what is true of each patch."""

  def encode(frames):
    del frames
    raise ValueError(
        f'--checkpoint=truth:{patch} is for configs/eval_scenes.py alone: no'
        ' other benchmark tells what is true of each patch'
    )

  return Model(
      'the truth', f'truth:{patch}', patch, 'not looked at', encode, True
  )


def _load_raw(patch: str) -> Model:
  return raw_patches(_side('raw', patch))


def _load_truth(patch: str) -> Model:
  return the_truth(_side('truth', patch))


def _side(kind: str, patch: str) -> int:
  if not patch.isdecimal() or not int(patch):
    raise ValueError(
        f'{kind} patches need their side in pixels, as in'
        f' --checkpoint={kind}:16, got {kind}:{patch}'
    )
  return int(patch)


def _load_untrained(path: str) -> Model:
  model, _ = weights.load(path)
  init = functools.partial(model.init, method='encode')
  shown = np.zeros((1, 1, model.patch, model.patch, 3), np.float32)
  params = jax.jit(init)(jax.random.key(0), shown)['params']
  return stream(f'untrained {_name(model)}', model, params)


def _name(model: rvm.RVM) -> str:
  for size, widths in rvm.SIZES.items():
    if all(getattr(model, key) == value for key, value in widths.items()):
      return f'RVM-{size}'
  return f'RVM {model.width} wide'


_KINDS = {'raw': _load_raw, 'truth': _load_truth, 'untrained': _load_untrained}
