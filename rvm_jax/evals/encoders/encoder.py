"""The contract between evaluations and encoders, and the way to meet it.

A benchmark hands the frames of whole videos to `FrozenEncoder.encode` and gets
a vector for each patch of each frame. It knows nothing else about the model.

`from_apply` makes a `FrozenEncoder` from a pure function and its parameters,

    apply(params, frames, state) -> (FrameFeatures, state)

where `frames` is uint8 [B, T, H, W, 3] on the devices and `apply` scales pixels
as its model wants them. Three kinds of models fit:

* An image encoder treats every frame alone. `jax.vmap(encode_images, (None, 1),
  1)` maps it over time, and `apply` returns the state as it came.
* A clip encoder attends to a fixed number of frames: `clip_length`. It repeats
  the features of a tube of frames for each frame of the tube.
* A recurrent encoder carries `state` from one part of a video to the next;
  `init_state` makes the state before the first frame.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
import numpy as np

from rvm_jax import streaming
from rvm_jax.ops import patches as patches_lib

Array = np.ndarray | jax.Array


class FrameFeatures(NamedTuple):
  """Features of each frame of a batch of videos.

  Attributes:
    patches: float32 [B, T, h, w, D], a vector for each patch.
    cls: float32 [B, T, D], a vector for the whole frame; None if the model has
      no such vector.
  """

  patches: Array
  cls: Array | None


@dataclasses.dataclass(frozen=True)
class FrozenEncoder:
  """All that a benchmark knows about a model.

  Attributes:
    name: the row's name in tables.
    identity: a text that is equal for equal features, such as
      `weights.trees.fingerprint` of the parameters.
    patch: P, side of a patch in pixels; h = H // P and w = W // P.
    scaling: how the model scales pixels, in words, for the result file.
    function: uint8 frames [B, T, H, W, 3] to features, np.ndarrays; called by
      `encode`, which checks both sides.
  """

  name: str
  identity: str
  patch: int
  scaling: str
  function: Callable[[np.ndarray], FrameFeatures]

  def encode(self, frames: np.ndarray) -> FrameFeatures:
    """Encodes whole videos, each from its first frame on.

    Args:
      frames: uint8 [B, T, H, W, 3], RGB.

    Raises:
      ValueError: `frames` has another shape or dtype, or sides that the model
        cannot cut into patches; or the model returned other shapes than the
        contract asks for.
    """
    is_video = frames.ndim == 5 and frames.shape[-1] == 3 and frames.size
    if frames.dtype != np.uint8 or not is_video:
      raise ValueError(
          'frames must be uint8 [B, T, H, W, 3], got'
          f' {frames.dtype} {frames.shape}'
      )
    features = self.function(frames)
    batch, time, height, width, _ = frames.shape
    expected = batch, time, height // self.patch, width // self.patch
    shapes = [features.patches.shape[:4]]
    if features.cls is not None:
      shapes.append((*features.cls.shape[:2], *expected[2:]))
    if any(shape != expected for shape in shapes):
      raise ValueError(
          f'{self.name} must give patches {[*expected, "D"]} and cls'
          f' {[batch, time, "D"]} for frames {frames.shape}, got'
          f' {[x.shape for x in features if x is not None]}'
      )
    return features


def has_no_state(batch: int, height: int, width: int) -> tuple[()]:
  """Returns the state of encoders that carry nothing over time."""
  del batch, height, width
  return ()


def from_apply(
    name: str,
    identity: str,
    patch: int,
    apply: Callable[[Any, jax.Array, Any], tuple[FrameFeatures, Any]],
    params: Any,
    *,
    scaling: str,
    init_state: Callable[[int, int, int], Any] = has_no_state,
    clip_length: int | None = None,
) -> FrozenEncoder:
  """Makes an encoder of a pure function, for videos of any number and length.

  Videos are cut into parts along time, so that device memory does not grow with
  their length, and the devices of this process share the videos of a batch. The
  last part is filled up with the video's last frame and the batch with its last
  video, so that one program serves all parts; features of both are cut off.

  Args:
    name, identity, patch, scaling: attributes of the encoder.
    apply: the pure function, see the module's docstring. It is compiled here.
    params: the tree of arrays that `apply` takes; () for none. They are copied
      to each device that is used.
    init_state: takes B, H and W and returns the state before the first frame, a
      tree of arrays whose first axis is B. By default there is none.
    clip_length: number of frames that `apply` always gets. None if features do
      not depend on how a video is cut; parts are then as long as
      `streaming.choose_chunk` says.
  """
  run = _Runner(patch, apply, params, init_state, clip_length)
  return FrozenEncoder(name, identity, patch, scaling, run)


class _Runner:
  """Encodes batches of videos with an apply function: see `from_apply`."""

  def __init__(self, patch, apply, params, init_state, clip_length):
    self._patch = patch
    self._params = params
    self._init_state = init_state
    self._clip_length = clip_length

    def apply_in_float32(params, frames, state):
      features, state = apply(params, frames, state)
      return jax.tree.map(lambda x: x.astype(jnp.float32), features), state

    self._apply = jax.jit(apply_in_float32)
    self._place = functools.cache(self._place)

  def __call__(self, frames: np.ndarray) -> FrameFeatures:
    batch, time, height, width, _ = frames.shape
    rows, columns = patches_lib.grid(height, width, self._patch)
    # A single video needs one device only.
    num_devices = 1 if batch == 1 else jax.local_device_count()
    params, split = self._place(num_devices)
    length = self._clip_length or min(
        time,
        streaming.choose_chunk(-(-batch // num_devices), 1 + rows * columns),
    )
    fill = (
        (0, -batch % num_devices),
        (0, -time % length),
        (0, 0),
        (0, 0),
        (0, 0),
    )
    frames = np.pad(frames, fill, 'edge')
    parts = []
    # The caller may be in a training run, which has a mesh of its own.
    with jax.set_mesh(split.mesh):
      state = self._init_state(len(frames), height, width)
      for start in range(0, time, length):
        inputs = frames[:, start : start + length], state
        features, state = self._apply(params, *jax.device_put(inputs, split))
        parts.append(jax.device_get(features))
    return jax.tree.map(
        lambda *arrays: np.concatenate(arrays, 1)[:batch, :time], *parts
    )

  def _place(self, num_devices: int) -> tuple[Any, NamedSharding]:
    """Returns parameters on devices, and how their arrays split a batch."""
    devices = np.array(jax.local_devices()[:num_devices])
    mesh = Mesh(devices, ('batch',), axis_types=(AxisType.Auto,))
    whole, split = (
        NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ('batch',))
    )
    return jax.device_put(self._params, whole), split
