"""Features of rivals for each frame of a video, in one of two variants.

'released' is what the released evaluation of RVM feeds its benchmarks
(github.com/google-deepmind/representations4d, the evaluation notebook):

* ImageNet's mean colour is subtracted from frames, and the difference is
  divided by the standard deviation of ImageNet's colours.
* The last rows and columns of pixels that do not fill a patch are cut off, so
  that the features cover a little less than the frame. DINOv2 has patches of 14
  pixels and sees 476 x 868 of 480 x 880.
* Image models encode each frame on its own. Clip models encode clips of 16
  frames that do not overlap. After the colours are scaled, the last clip is
  filled up with zeros, which are frames of ImageNet's mean colour.
* A token of a clip model covers two frames. Its features are interpolated
  linearly in time, within the clip, to one vector for each frame.
* The features are the last layer's, normalised, without CLS and registers.

'fair' changes two of these rules, which handicap a rival. Frames are resized
(bicubic, antialiased) to the largest multiples of the patch, so that the
features cover the whole frame. The last clip is filled up with copies of the
last frame.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import resizing

Params = Any

VARIANTS = 'released', 'fair'
# Names of the families in tables, by the attribute `family` of their modules.
FAMILIES = {
    'dinov2': 'DINOv2',
    'dinov3': 'DINOv3',
    'videomae': 'VideoMAE',
    'vjepa': 'V-JEPA',
    'vjepa2': 'V-JEPA2',
}
# Mean and standard deviation of the colours of ImageNet, RGB in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Number of frames of a clip in the released evaluation, even for models that
# were trained with more.
_MAX_FRAMES = 16
# Letters of the sizes of models, by width and depth.
_SIZES = {
    (384, 12): 'S',
    (768, 12): 'B',
    (1024, 24): 'L',
    (1280, 32): 'H',
    (1408, 40): 'g',
    (1536, 40): 'g',
}
# Number of prefix tokens of DINOv2 without registers.
_ONLY_CLS = 1


class FrameFeatures(NamedTuple):
  """Features of each frame of a batch of videos.

  Attributes:
    patches: float32 [B, T, h, w, D].
    cls: float32 [B, T, D]; None for models without CLS.
  """

  patches: jax.Array
  cls: jax.Array | None


def encode(
    module: nn.Module,
    params: Params,
    frames: jax.Array,
    is_real: jax.Array,
    variant: str,
) -> FrameFeatures:
  """Encodes frames; a pure function, to be compiled.

  Args:
    module: module of a rival, as `baselines.load` returns it.
    params: parameters of the rival.
    frames: uint8 [B, T, H, W, 3], RGB, H and W at least a patch. For a clip
      model this is one clip, T = `clip_length(module)`, whose padding at the
      end repeats the last frame.
    is_real: bool [B, T], False for frames that are padding.
    variant: 'released' or 'fair'.

  Returns:
    The features, with h = H // P rows and w = W // P columns.

  Raises:
    ValueError: the frames are smaller than a patch.
  """
  batch, time, height, width, _ = frames.shape
  rows, columns = height // module.patch, width // module.patch
  if not rows or not columns:
    raise ValueError(
        f'frames of {height} x {width} pixels are smaller than a patch of'
        f' {name(module)}, {module.patch} x {module.patch}'
    )
  size = rows * module.patch, columns * module.patch
  frames = jnp.asarray(frames, jnp.float32) / 255
  if variant == 'released':
    frames = frames[:, :, : size[0], : size[1]]
  elif size != (height, width):
    shape = batch, time, *size, 3
    frames = jnp.clip(jax.image.resize(frames, shape, 'cubic'), 0, 1)
  mean, deviation = (
      jnp.array(x).reshape(1, 1, 1, 1, 3) for x in (MEAN, DEVIATION)
  )
  frames = (frames - mean) / deviation
  if variant == 'released':
    frames = jnp.where(is_real[..., None, None, None], frames, 0)
  # GPUs and TPUs would otherwise round the factors of float32 products.
  with jax.default_matmul_precision(jnp.dtype(module.dtype).name):
    tokens = jnp.asarray(module.apply({'params': params}, frames), jnp.float32)
  grid = rows, columns, tokens.shape[-1]
  if module.tubelet == 1:
    patches = tokens[:, module.num_prefix :].reshape(batch, time, *grid)
    cls = tokens[:, 0].reshape(batch, time, -1) if module.num_prefix else None
    return FrameFeatures(patches, cls)
  # [B, t, h, w, D] -> [B, T, h, w, D]
  patches = tokens.reshape(batch, time // module.tubelet, *grid)
  patches = jnp.moveaxis(patches, 1, 0)
  patches = resizing.resize_linear(patches, [time])
  return FrameFeatures(jnp.moveaxis(patches, 0, 1), None)


def clip_length(module: nn.Module) -> int | None:
  """Returns the number of frames of a clip; None for an image model."""
  if module.tubelet == 1:
    return None
  return min(_MAX_FRAMES, module.num_frames)


def name(module: nn.Module, variant: str = 'released') -> str:
  """Returns the name of a model in tables, such as 'DINOv2-L fair'.

  Sizes that were not published are named by their width.

  Args:
    module: module of a rival.
    variant: 'released' or 'fair'; the name contains the latter alone.
  """
  family = FAMILIES[module.family]
  letter = _SIZES.get((module.width, module.depth))
  result = f'{family}-{letter}' if letter else f'{family} {module.width} wide'
  if module.family == 'dinov3' and module.gated:
    # Some widths were published with plain and with gated MLPs. The names of
    # the gated models have a plus.
    result += '+'
  if module.family == 'dinov2' and module.num_prefix > _ONLY_CLS:
    result += ' with registers'
  return result if variant == 'released' else f'{result} {variant}'


def describe(module: nn.Module, variant: str) -> str:
  """Says in words how frames become features, for results and stores.

  Args:
    module: module of a rival.
    variant: 'released' or 'fair'.
  """
  is_fair = variant == 'fair'
  words = [
      "ImageNet's mean and deviation",
      'frames resized to whole patches'
      if is_fair
      else 'partial patches cut off',
  ]
  if length := clip_length(module):
    filling = 'copies of the last frame' if is_fair else 'zeros'
    words.append(
        f'clips of {length} frames, the last one filled up with {filling}'
    )
  return f'{variant}: {"; ".join(words)}'
