"""The encoders whose cost `cost.py` counts: their sizes and their programs.

Parameters and frames are given as shapes: no weights are needed, and nothing is
computed.
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
# Number of frames in a window of a clip model, as in the released evaluation of
# RVM.
WINDOW = 16


class Family(NamedTuple):
  """Encoders that differ in their size alone.

  Attributes:
    title: name of the family in tables.
    kind: 'recurrent' for RVM, 'image' for models that see one frame, 'clip' for
      models that attend over time.
    sizes: letters of the sizes.
    make: function that returns the Flax module for one of `sizes` and the name
      of a dtype, such as 'float32'.
  """

  title: str
  kind: str
  sizes: tuple[str, ...]
  make: Callable[[str, str], Any]


class Program(NamedTuple):
  """A function that encodes some frames in one call, and its arguments.

  Attributes:
    function: function of the parameters and of all `inputs`.
    params: tree of the parameters' shapes.
    inputs: shapes of the frames and, for RVM, of the state.
  """

  function: Callable[..., jax.Array]
  params: Any
  inputs: tuple[jax.ShapeDtypeStruct, ...]


def _size(width, depth, num_heads, mlp_width):
  """Returns the attributes of a ViT module that depend on its size."""
  return dict(
      width=width, depth=depth, num_heads=num_heads, mlp_width=mlp_width
  )


# Sizes of the ViTs, from the papers of the families.
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
  """Returns an RVM without decoder, which features do not need."""
  return rvm.RVM(**rvm.SIZES[size], decoder_layers=0, dtype=dtype)


def _make_dinov2(size: str, dtype: str) -> dinov2.DINOv2:
  """Returns a DINOv2 without registers; with them it has 4 tokens more."""
  return dinov2.DINOv2(
      **_DINOV2_SIZES[size],
      gated=size == 'g',
      num_registers=0,
      dtype=jnp.dtype(dtype),
  )


def _make_dinov3(size: str, dtype: str) -> dinov3.DINOv3:
  """Returns a DINOv3 with four registers and without biases of the keys."""
  return dinov3.DINOv3(
      **_DINOV3_SIZES[size],
      gated=size == 'H+',
      num_registers=4,
      biases=('query', 'value', 'out', 'mlp'),
      dtype=jnp.dtype(dtype),
  )


def _make_clips(module_class, rows, sizes=_SIZES):
  """Returns a function of a size and a dtype that makes a clip model.

  Args:
    module_class: class of the model.
    rows: rows of patches in the frames that the published model is trained on.
    sizes: attributes of the model by its size.
  """

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
  """Returns the family and the size that a name such as 'rvm.L' stands for."""
  key, size = name.split('.')
  return FAMILIES[key], size


def side(module: Any) -> int:
  """Returns the side of a module's square frames in pixels.

  It is the greatest multiple of the patch up to `PIXELS`, which is 256. DINOv2,
  whose patch has 14 pixels, gets 252.
  """
  return PIXELS // module.patch * module.patch


def program(module: Any, num_frames: int) -> Program:
  """Returns the program that encodes some frames of one video in a call.

  Args:
    module: an RVM, or a module of `rvm_jax.baselines`.
    num_frames: number of frames that the call encodes.
  """
  pixels = side(module)
  shape = (1, num_frames, pixels, pixels, 3)
  if isinstance(module, videomae.VideoMAE):
    # VideoMAE refuses other numbers of frames than its attribute says.
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
