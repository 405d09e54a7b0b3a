"""The encoders whose cost `cost.py` counts: sizes and programs.

Nothing is loaded or computed here. Parameters and frames are shapes.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rvm_jax import streaming
from rvm_jax.baselines import dinov2
from rvm_jax.baselines import dinov3
from rvm_jax.baselines import videomae
from rvm_jax.baselines import vjepa
from rvm_jax.baselines import vjepa2
from rvm_jax.models import rvm
from rvm_jax.weights import released

# Height and width of the frames in pixels.
PIXELS = 256
# Frames of a window, of models that encode clips: what the released evaluation
# of RVM gives them.
WINDOW = 16


class Family(NamedTuple):
  """Encoders that differ in their size alone.

  Attributes:
    title: name of the family in tables.
    kind: 'recurrent' for RVM, 'image' for models that see one frame, 'clip' for
      those that attend over time.
    sizes: letters of the sizes.
    make: function of a size and of a dtype, which returns the Flax module.
  """

  title: str
  kind: str
  sizes: tuple[str, ...]
  make: Callable[[str, str], Any]


class Program(NamedTuple):
  """What encodes some frames in one call.

  Attributes:
    function: function of `params` and of `inputs`.
    params: shapes of the parameters.
    inputs: shapes of the frames, and of RVM's state.
  """

  function: Callable[..., jax.Array]
  params: Any
  inputs: tuple[jax.ShapeDtypeStruct, ...]


def _size(width, depth, num_heads, mlp_width):
  """Returns what sizes of a ViT differ in."""
  return dict(
      width=width, depth=depth, num_heads=num_heads, mlp_width=mlp_width
  )


# Sizes of the ViTs, by the paper of each family.
_SIZES = {
    'S': _size(384, 12, 6, 1536),
    'B': _size(768, 12, 12, 3072),
    'L': _size(1024, 24, 16, 4096),
    'H': _size(1280, 32, 16, 5120),
}
_DINOV2_SIZES = _SIZES | {'g': _size(1536, 40, 24, 4096)}
_DINOV3_SIZES = _SIZES | {'H+': _size(1280, 32, 20, 5120)}
_VJEPA2_SIZES = _SIZES | {'g': _size(1408, 40, 22, 6144)}


def _make_rvm(size: str, dtype: str) -> rvm.RVM:
  """Returns encoder and core of RVM; features need no decoder."""
  return rvm.RVM(**rvm.SIZES[size], decoder_layers=0, dtype=dtype)


def _make_dinov2(size: str, dtype: str) -> dinov2.DINOv2:
  """Returns a DINOv2 without registers, which would be 4 more tokens."""
  return dinov2.DINOv2(
      **_DINOV2_SIZES[size],
      gated=size == 'g',
      num_registers=0,
      dtype=jnp.dtype(dtype),
  )


def _make_dinov3(size: str, dtype: str) -> dinov3.DINOv3:
  """Returns a DINOv3, with four registers and no biases of keys."""
  return dinov3.DINOv3(
      **_DINOV3_SIZES[size],
      gated=size == 'H+',
      num_registers=4,
      biases=('query', 'value', 'out', 'mlp'),
      dtype=jnp.dtype(dtype),
  )


def _make_clips(module_class, rows, sizes=_SIZES):
  """Returns the function that makes a module of clips."""

  def make(size, dtype):
    return module_class(
        **sizes[size],
        patch=16,
        tubelet=2,
        rows=rows,
        num_frames=WINDOW,
        epsilon=1e-6,
        dtype=jnp.dtype(dtype),
    )

  return make


FAMILIES = {
    'rvm': Family('RVM', 'recurrent', tuple(rvm.SIZES), _make_rvm),
    'dinov2': Family('DINOv2', 'image', ('S', 'B', 'L', 'g'), _make_dinov2),
    'dinov3': Family('DINOv3', 'image', ('S', 'B', 'L', 'H+'), _make_dinov3),
    'videomae': Family(
        'VideoMAE', 'clip', tuple(_SIZES), _make_clips(videomae.VideoMAE, 14)
    ),
    'vjepa': Family('V-JEPA', 'clip', ('L', 'H'), _make_clips(vjepa.VJEPA, 14)),
    'vjepa2': Family(
        'V-JEPA 2',
        'clip',
        ('L', 'H', 'g'),
        _make_clips(vjepa2.VJEPA2, 16, _VJEPA2_SIZES),
    ),
}
# Names of all encoders, such as 'rvm.L'.
NAMES = tuple(
    f'{key}.{size}' for key, family in FAMILIES.items() for size in family.sizes
)


def find(name: str) -> tuple[Family, str]:
  """Returns the family and the size of an encoder's name."""
  key, size = name.split('.')
  return FAMILIES[key], size


def side(module: Any) -> int:
  """Returns the height and the width of a module's frames.

  These are 256 pixels, or what is left of them if the patch does not divide
  them: 252 for DINOv2.
  """
  return PIXELS // module.patch * module.patch


def program(module: Any, num_frames: int) -> Program:
  """Returns the program that encodes some frames of one video in a call.

  Args:
    module: an RVM, or a module of `rvm_jax.baselines`.
    num_frames: number of frames.
  """
  pixels = side(module)
  shape = (1, num_frames, pixels, pixels, 3)
  if isinstance(module, videomae.VideoMAE):
    # It takes no other number of frames than it is trained on.
    module = module.clone(num_frames=num_frames)
  if isinstance(module, rvm.RVM):
    num_tokens = 1 + (pixels // module.patch) ** 2
    return Program(
        functools.partial(streaming.encode, module),
        released.shapes(module),
        (
            jax.ShapeDtypeStruct(shape, jnp.uint8),
            jax.ShapeDtypeStruct((1, num_tokens, module.width), jnp.float32),
        ),
    )
  frames = jax.ShapeDtypeStruct(shape, jnp.float32)
  params = jax.eval_shape(module.init, jax.random.key(0), frames)['params']
  return Program(
      lambda params, frames: module.apply({'params': params}, frames),
      params,
      (frames,),
  )
