"""RVM as one uses it: frames in, features out, at constant cost per frame.

encoder = rvm_jax.load('pretrain_rvm_base16_256.npz')
features = encoder(video)  # A whole video, of any length.

state = encoder.init(batch=1, height=256, width=256)  # Or frame by frame.
for frame in camera:
  features, state = encoder.step(frame[None], state)
"""

from collections.abc import Mapping
import functools
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from rvm_jax import weights
from rvm_jax.models import rvm
from rvm_jax.ops import images
from rvm_jax.ops import patches as patches_lib

Array = np.ndarray | jax.Array

_MAX_FRAMES, _MAX_SCORES = 16, 2**24  # See `choose_chunk`.


class Features(NamedTuple):
  """What the model knows after each frame, float32.

  Attributes:
    patches: [..., T, h, w, D], a vector for each patch; without T after a
      single `step`.
    cls: [..., T, D], one for the whole frame; without T after `step`.
    state: [B, 1 + h * w, D], after the last frame: what goes on from here
      takes it. Always with a batch axis.
  """

  patches: Array
  cls: Array
  state: jax.Array


class Encoder:
  """Streams video through a model.

  Compiles once for each shape of frames and batch.

  Attributes:
    model: its `patch` is P, its `width` D.
    params: on the device, or whole on each device of the mesh.
  """

  def __init__(
      self,
      model: rvm.RVM,
      params: Mapping[str, Any],
      dtype: str | None = None,
      chunk: int | None = None,
      mesh: Mesh | None = None,
  ):
    """Puts the parameters on the device, or on each device of the mesh.

    Args:
      model: an RVM, with or without decoder.
      params: its parameters.
      dtype: of the products, 'float32' or 'bfloat16'; None for the model's.
        State and features are float32 in either case.
      chunk: so many frames of a video are on the device at once; None for what
        `choose_chunk` says of the part of a batch that a device has.
      mesh: of one axis; its devices, all of this process, share a batch, B a
        multiple of their number. Set it (`jax.set_mesh`) around calls. None for
        the default device.
    """
    if chunk is not None and chunk < 1:
      raise ValueError(f'chunk must be at least 1, got {chunk}')
    self.model = model if dtype is None else model.clone(dtype=dtype)
    self._chunk = chunk
    self._num_devices, whole, self._split = 1, None, None
    if mesh is not None:
      self._num_devices = mesh.size
      whole = NamedSharding(mesh, PartitionSpec())
      self._split = NamedSharding(mesh, PartitionSpec(*mesh.axis_names))
    self.params = jax.device_put(params, whole)
    self._encode = jax.jit(functools.partial(encode, self.model))

  def init(self, batch: int, height: int, width: int) -> jax.Array:
    """The state before the first frame: float32 zeros [B, 1 + h * w, D].

    Raises:
      ValueError: height or width is not a multiple of the patch, or batch of
        the devices' number.
    """
    if batch % self._num_devices:
      raise ValueError(
          f'batch must be a multiple of the {self._num_devices} devices of the'
          f' mesh, got {batch}'
      )
    rows, columns = patches_lib.grid(height, width, self.model.patch)
    shape = batch, 1 + rows * columns, self.model.width
    return jnp.zeros(shape, jnp.float32, device=self._split)

  def step(
      self, frame: Array, state: jax.Array, reset: Array | None = None
  ) -> tuple[Features, jax.Array]:
    """Folds one frame into the state.

    Args:
      frame: [B, H, W, 3] uint8, or float in [0, 1].
      state: of `init` or the step before.
      reset: bool [B], true where another video begins with this frame: the
        state of these rows is forgotten first.

    Returns:
      Features on the device, patches [B, h, w, D] and cls [B, D], and the state
      after this frame.

    Raises:
      ValueError: frame, state or reset of another shape, dtype or range.
    """
    if frame.ndim != 4:
      raise ValueError(
          f'frame must be [batch, height, width, 3], got {frame.shape}'
      )
    _check(frame)
    batch, height, width, _ = frame.shape
    if reset is None:
      reset = np.zeros(batch, bool)  # One program, with and without.
    if reset.shape != (batch,) or reset.dtype != bool:
      raise ValueError(
          f'reset must be bool [{batch}], got {reset.dtype} {reset.shape}'
      )
    encoded = self._run(frame[:, None], state, reset)[:, 0]
    grid = patches_lib.grid(height, width, self.model.patch)
    return _split(encoded, grid, encoded), encoded

  def __call__(self, video: Array, state: jax.Array | None = None) -> Features:
    """Streams a video, or a batch of videos, from its first frame or `state`.

    `encoder(a + b)` equals `encoder(b, encoder(a).state)`.

    Args:
      video: [T, H, W, 3] or [B, T, H, W, 3], uint8, or float in [0, 1]; H and W
        multiples of the patch, T any.
      state: float32 [B, 1 + h * w, D], where an earlier part of the same video
        ended.

    Returns:
      Features as np.ndarrays, patches [.., T, h, w, D] and cls [.., T, D], and
      the state on the device.

    Raises:
      ValueError: video or state of another shape, dtype or range.
    """
    if video.ndim not in (4, 5) or not video.shape[-4]:
      raise ValueError(
          'video must be [time, height, width, 3] or [batch, time, height,'
          f' width, 3] with at least one frame, got {video.shape}'
      )
    _check(video)
    batched = video if video.ndim == 5 else video[None]
    batch, time, height, width, _ = batched.shape
    grid = patches_lib.grid(height, width, self.model.patch)
    if state is None:
      state = self.init(batch, height, width)
    result = np.empty((batch, time, *state.shape[1:]), np.float32)
    share = -(-batch // self._num_devices)
    size = min(self._chunk or choose_chunk(share, state.shape[1]), time)
    for start in range(0, time, size):
      part = batched[:, start : start + size]
      length = part.shape[1]
      # The last part is filled up: one shape, one compilation.
      fill = [(0, 0), (0, size - length), (0, 0), (0, 0), (0, 0)]
      encoded = self._run(np.pad(part, fill), state)
      state = encoded[:, length - 1]
      result[:, start : start + length] = encoded[:, :length]
    return _split(result if video.ndim == 5 else result[0], grid, state)

  def _run(self, *inputs: Array) -> jax.Array:
    """`encode` of frames, state and reset, split over the mesh if any."""
    if self._split is not None:
      inputs = jax.device_put(inputs, self._split)
    return self._encode(self.params, *inputs)


def choose_chunk(batch: int, num_tokens: int) -> int:
  """Frames of a video to encode in one call.

  Sixteen, and fewer of large ones, so that the scores of one head's attention
  are at most 2^24 (64 MiB in float32).

  Args:
    batch: B, videos encoded side by side.
    num_tokens: 1 + N, of a frame.
  """
  return max(1, min(_MAX_FRAMES, _MAX_SCORES // (batch * num_tokens**2)))


def load(path: str | os.PathLike[str], dtype: str = 'float32') -> Encoder:
  """Loads an encoder: see `rvm_jax.load`."""
  return Encoder(*weights.load(path, dtype))


def encode(model, params, frames, state, reset=None):
  """States after each frame [B, T, 1 + N, D]; a pure function."""
  if reset is not None:
    state = jnp.where(reset[:, None, None], 0, state)
  # By default "float32" products are less than that on GPUs and TPUs.
  with jax.default_matmul_precision(model.dtype):
    features, _ = model.apply(
        {'params': params}, images.to_float(frames), state, method='encode'
    )
  return features.astype(jnp.float32)


def _split(encoded, grid, state):
  patches = encoded[..., 1:, :]
  patches = patches.reshape(*patches.shape[:-2], *grid, patches.shape[-1])
  return Features(patches, encoded[..., 0, :], state)


def _check(frames):
  """Refuses what is not an RGB frame in the range that the dtype promises."""
  if frames.shape[-1] != 3:
    raise ValueError(f'frames must have 3 channels (RGB), got {frames.shape}')
  if frames.dtype == np.uint8:
    return
  if not jnp.issubdtype(frames.dtype, jnp.floating):
    raise ValueError(
        f'frames must be uint8, or floats in [0, 1], got {frames.dtype}'
    )
  low, high = float(frames.min()), float(frames.max())
  # Resizing with a cubic filter goes a little beyond.
  if not (-0.5 <= low and high <= 1.5):
    raise ValueError(
        f'float frames must lie in [0, 1], got {low} to {high}; divide by 255'
    )
