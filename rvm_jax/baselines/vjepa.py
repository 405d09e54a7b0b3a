"""V-JEPA (1): clips encoded by predicting features of hidden tubelets.

Sources: Bardes et al., arXiv 2404.08471; sizes, names and numbers of the
released weights: github.com/facebookresearch/jepa. Their licence is CC-BY-NC
4.0 (non-commercial). Hugging Face has no class for them.

Inputs are frames in [0, 1], normalised with the mean (.485, .456, .406) and the
standard deviation (.229, .224, .225). The models were trained with 16 frames.
"""

import math
from typing import ClassVar

import flax.linen as nn
import jax

from rvm_jax.baselines import clips
from rvm_jax.baselines import renaming
from rvm_jax.baselines import resizing

# Number of heads of the released models by their width. They are L (24 blocks)
# and H (32), and H with frames of 384 pixels.
HEADS = {1024: 16, 1280: 16}


class VJEPA(clips.ClipEncoder):
  """Encodes clips; the attributes are those of `clips.ClipEncoder`."""

  family: ClassVar[str] = 'vjepa'

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    """Encodes clips.

    Args:
      frames: normalised frames, float [B, T, H, W, 3].

    Returns:
      Normalised tokens of the last block in raster order, [B, t * h * w, D].

    Raises:
      ValueError: T, H or W is not a multiple of a tubelet's sides.
    """
    x = self.embed(frames)
    native = (self.num_frames // self.tubelet, self.rows, self.rows)
    # The table is fixed, yet a part of the released files.
    table = self.param(
        'positions',
        nn.initializers.normal(0.02),
        (1, math.prod(native), self.width),
    )
    table = resizing.resize_linear(
        table.reshape(*native, self.width), x.shape[1:4]
    )
    return self.transform(x + table.astype(x.dtype)[None])
