"""The objective 'joint': RVM's with joint attention instead of the core.

It is an ablation. The model of `models.joint`, in which the tokens of all
source frames attend to each other, is trained exactly as RVM is.
"""

import dataclasses
from typing import Any

import jax
import ml_collections

from rvm_jax.models import joint
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import flops
from rvm_jax.training.objectives import pretraining
from rvm_jax.training.objectives import windows


@dataclasses.dataclass(frozen=True, eq=False)
class Joint(pretraining.Pretraining):
  """RVM's masked pixel prediction with a `joint.JointRVM`."""

  @property
  def clip_length(self) -> int:
    """T, number of source frames: videos are encoded in windows of T frames."""
    return self.batch['source'].shape[1]

  @property
  def flops_per_clip(self) -> float:
    """FLOPs of a training step for one clip: three forward passes."""
    _, num_source, *_ = self.batch['source'].shape
    _, num_target, height, width, _ = self.batch['target'].shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    size, model = rows * columns, self.model
    return 3.0 * (
        flops.transformer(
            num_source * (1 + size),
            model.width,
            model.core_layers,
            model.core_mlp,
        )
        + flops.count_around_core(
            model,
            num_source,
            num_target,
            size,
            masks.num_visible(size, self.mask_ratio),
        )
    )

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns features of patches, see `VideoObjective.encode`."""
    return windows.encode(
        lambda clips: super(Joint, self).encode(params, clips),
        frames,
        self.clip_length,
    )

  def _update_gate(self, params, batch):
    """Returns None, since there is no gate."""


def from_config(config: ml_collections.ConfigDict) -> Joint:
  """Returns the objective of a run whose `config.objective` is 'joint'.

  Args:
    config: the run's config, as in configs/rvm_base.py. The transformer in
      place of the core takes the settings of the core.

  Raises:
    ValueError: settings conflict, as in `pretraining.from_config`.
  """
  pretraining.check(config)
  return Joint(
      joint.JointRVM(**config.model),
      pretraining.batch_shapes(config.data),
      config.mask_ratio,
  )
