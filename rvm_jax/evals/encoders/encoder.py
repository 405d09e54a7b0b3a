"""The interface between benchmarks and models, and an adapter to implement it.

A benchmark passes the frames of whole videos to `FrozenEncoder.encode` and gets
a feature vector for each patch of each frame. It knows nothing else about the
model.

The adapter is `from_apply`. It makes a `FrozenEncoder` from a pure function and
its parameters:

    apply(params, frames, state) -> (FrameFeatures, state)

`frames` is a jax.Array, uint8 [B, T, H, W, 3]; `apply` scales the pixels as its
model expects them. Three kinds of models fit:

* An image encoder encodes every frame independently. `jax.vmap(encode_images,
  (None, 1), 1)` maps it over time, and `apply` returns `state` unchanged.
* A clip encoder attends to a fixed number of frames, `clip_length`. If a token
  of the model covers several frames (a tubelet), `apply` gives each of these
  frames features of its own, such as the token's features repeated.
* A recurrent encoder passes `state` from one part of a video to the next;
  `init_state` makes the state before the first frame.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
import numpy as np

from rvm_jax import streaming
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import mesh as mesh_lib

Array = np.ndarray | jax.Array


class FrameFeatures(NamedTuple):
  """Features of each frame of a batch of videos.

  Attributes:
    patches: float32 [B, T, h, w, D], a vector for each patch of each frame.
    cls: float32 [B, T, D], a vector for each whole frame, such as that of a CLS
      token; None if the model has no such vector.
  """

  patches: Array
  cls: Array | None


@dataclasses.dataclass(frozen=True)
class FrozenEncoder:
  """A model whose parameters stay fixed, as benchmarks see it.

  Attributes:
    name: name of the model, which becomes the name of its row in tables.
    identity: text that differs if the features differ, such as
      `weights.trees.fingerprint` of the parameters. Features on disk are reused
      only for an encoder of the same identity, patch and scaling.
    patch: P, side of a patch in pixels; h = H // P and w = W // P.
    scaling: description of how the model scales pixels, for the result file.
    function: function that takes frames, uint8 [B, T, H, W, 3], and returns
      FrameFeatures of np.ndarrays. Call `encode` instead, which checks the
      frames and the features.
    variant: name of the rules by which frames become features, if the model
      has several, such as 'released' or 'fair'; empty otherwise.
    takes_any_size: whether H and W need not be multiples of P.
    center_frames: whether label propagation subtracts the mean of each frame
      from the patches (`label_propagation.center`) if the benchmark's settings
      leave that open.
  """

  name: str
  identity: str
  patch: int
  scaling: str
  function: Callable[[np.ndarray], FrameFeatures]
  variant: str = ''
  takes_any_size: bool = False
  center_frames: bool = False

  def encode(self, frames: np.ndarray) -> FrameFeatures:
    """Encodes whole videos.

    Args:
      frames: uint8 [B, T, H, W, 3], RGB, all frames of each video. No axis may
        be empty.

    Returns:
      The features of all frames, as np.ndarrays.

    Raises:
      ValueError: `frames` has another shape or dtype, or a height or width that
        the model cannot cut into patches; or the features have other shapes
        than `FrameFeatures` describes.
    """
    is_video = frames.ndim == 5 and frames.shape[-1] == 3 and frames.size
    if frames.dtype != np.uint8 or not is_video:
      raise ValueError(
          'frames must be uint8 [B, T, H, W, 3] with no axis of size 0, got'
          f' {frames.dtype} {frames.shape}'
      )
    features = self.function(frames)
    batch, time, height, width, _ = frames.shape
    expected = batch, time, height // self.patch, width // self.patch
    shapes = [features.patches.shape[:4]]
    # `cls` has no axes h and w. The expected ones are appended for comparison.
    if features.cls is not None:
      shapes.append((*features.cls.shape[:2], *expected[2:]))
    if any(shape != expected for shape in shapes):
      raise ValueError(
          f'{self.name} must give patches {[*expected, "D"]} and cls'
          f' {[batch, time, "D"]} for frames {frames.shape}, got'
          f' {[x.shape for x in features if x is not None]}'
      )
    return features


def make_empty_state(batch: int, height: int, width: int) -> tuple[()]:
  """Returns the empty state of an encoder that is not recurrent."""
  del batch, height, width
  return ()


def from_apply(
    name: str,
    identity: str,
    patch: int,
    apply: Callable[..., tuple[FrameFeatures, Any]],
    params: Any,
    *,
    scaling: str,
    init_state: Callable[[int, int, int], Any] = make_empty_state,
    clip_length: int | None = None,
    knows_padding: bool = False,
    takes_any_size: bool = False,
    variant: str = '',
) -> FrozenEncoder:
  """Makes an encoder from a pure function.

  The encoder takes any number of videos of any length. It cuts them into parts
  along time, so that device memory does not grow with their length, and splits
  a batch of videos over the devices of this process. One compiled program
  serves all parts: the last part is padded with the video's last frame, and the
  batch with its last video. The features of the padding are dropped.

  Args:
    name: name of the model in tables.
    identity: text that differs if the features differ.
    patch: P, side of a patch in pixels.
    apply: pure function that the module's docstring describes. It is compiled
      with `jax.jit`.
    params: tree of arrays that is passed to `apply`; () if `apply` needs none.
      It is copied to each device that is used.
    scaling: description of how the model scales pixels.
    init_state: function (B, H, W) -> state before the first frame, a tree of
      arrays whose first axis is B. By default the state is empty.
    clip_length: number of frames that `apply` is given in every call. None
      means that the features do not depend on how a video is cut into parts;
      `streaming.choose_chunk` then chooses the length of the parts.
    knows_padding: whether `apply` takes a fourth argument, bool [B, T], which
      is False for the frames that the last part is padded with.
    takes_any_size: whether H and W need not be multiples of P; `apply` then
      returns features of h = H // P rows and w = W // P columns all the same.
    variant: name of the rules by which frames become features, if the model has
      several.

  Returns:
    The encoder. Its `encode` raises ValueError for a height or width that is
    not a multiple of P, unless `takes_any_size` is set.
  """

  # `_Runner` always passes `is_real`, also to models that do not take it.
  def apply_to_part(params, frames, state, is_real):
    extra = (is_real,) if knows_padding else ()
    return apply(params, frames, state, *extra)

  if not takes_any_size:
    init_state = _refuse_partial_patches(init_state, patch)
  run = _Runner(patch, apply_to_part, params, init_state, clip_length)
  return FrozenEncoder(
      name, identity, patch, scaling, run, variant, takes_any_size
  )


def _refuse_partial_patches(init_state, patch):
  """Makes `init_state` raise ValueError for sizes that P does not divide."""

  def init_checked(batch, height, width):
    patches_lib.grid(height, width, patch)
    return init_state(batch, height, width)

  return init_checked


class _Runner:
  """The function of an encoder that `from_apply` makes."""

  def __init__(self, patch, apply, params, init_state, clip_length):
    """Compiles `apply`, which always takes the fourth argument, `is_real`."""
    self._patch = patch
    self._params = params
    self._init_state = init_state
    self._clip_length = clip_length

    def apply_in_float32(params, frames, state, is_real):
      features, state = apply(params, frames, state, is_real)
      return jax.tree.map(lambda x: x.astype(jnp.float32), features), state

    self._apply = jax.jit(mesh_lib.map_rows(apply_in_float32))
    # Parameters are copied only once for each number of devices.
    self._place = functools.cache(self._place)

  def __call__(self, frames: np.ndarray) -> FrameFeatures:
    batch, time, height, width, _ = frames.shape
    num_patches = (height // self._patch) * (width // self._patch)
    # A single video needs one device only.
    num_devices = 1 if batch == 1 else jax.local_device_count()
    params, split = self._place(num_devices)

    # Choose the number of frames in a part.
    length = self._clip_length or min(
        time,
        streaming.choose_chunk(-(-batch // num_devices), 1 + num_patches),
    )

    # Pad the batch to a multiple of the devices and the time to whole parts.
    padding = (
        (0, -batch % num_devices),
        (0, -time % length),
        (0, 0),
        (0, 0),
        (0, 0),
    )
    frames = np.pad(frames, padding, 'edge')
    is_real = np.tile(np.arange(frames.shape[1]) < time, (len(frames), 1))

    # Encode the parts in order, passing on the state. The mesh is set here,
    # because a training run that calls this may have set another one.
    parts = []
    with jax.set_mesh(split.mesh):
      state = self._init_state(len(frames), height, width)
      for start in range(0, time, length):
        part = slice(start, start + length)
        inputs = frames[:, part], state, is_real[:, part]
        features, state = self._apply(params, *jax.device_put(inputs, split))
        parts.append(jax.device_get(features))

    # Join the parts and drop the padding.
    return jax.tree.map(
        lambda *arrays: np.concatenate(arrays, 1)[:batch, :time], *parts
    )

  def _place(self, num_devices: int) -> tuple[Any, NamedSharding]:
    """Copies the parameters to devices.

    Args:
      num_devices: number of devices to use.

    Returns:
      The parameters, replicated on these devices; and the sharding that splits
      the first axis of an array, the batch, over these devices.
    """
    devices = jax.local_devices()[:num_devices]
    mesh = mesh_lib.make_mesh(fsdp=1, devices=devices)
    replicated = NamedSharding(mesh, mesh_lib.WHOLE)
    params = jax.device_put(self._params, replicated)
    return params, mesh_lib.batch_sharding(mesh)
