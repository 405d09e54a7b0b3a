"""Encodes video: frames in, features out, at a constant cost per frame.

A whole video of any length is encoded by one call:

  encoder = rvm_jax.load('pretrain_rvm_base16_256.npz')
  features = encoder(video)

The frames of a camera are encoded one by one, as they come:

  state = encoder.init(batch=1, height=256, width=256)
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
from rvm_jax.ops import patches as patches_lib

Array = np.ndarray | jax.Array

# Largest number of frames that `choose_chunk` returns.
_MAX_FRAMES = 16
# Largest number of attention scores of one head in a chunk of several frames.
_MAX_SCORES = 2**24


class Features(NamedTuple):
  """Features of frames and the state after the last of them, all float32.

  Attributes:
    patches: one vector for each patch of each frame, [..., T, h, w, D]; `step`
      returns them for one frame, without the axis T.
    cls: one vector for each whole frame, [..., T, D]; without T from `step`.
    state: recurrent state after the last frame, [B, 1 + h * w, D]. It always
      has the batch axis. Pass it on to encode the frames that follow.
  """

  patches: Array
  cls: Array
  state: jax.Array


class Encoder:
  """Encodes video with one model, whole or frame by frame.

  The first call with frames of a new shape compiles a program for this shape.

  Attributes:
    model: the RVM; `model.patch` is P and `model.width` is D.
    params: parameter tree of the model, on the device; with a mesh, all of it
      on each device.
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
      params: parameter tree of `model`.
      dtype: dtype of the matrix products, 'float32' or 'bfloat16'; None keeps
        that of `model`. State and features are float32 in either case.
      chunk: number of frames of a video that are encoded in one call of the
        compiled program; None lets `choose_chunk` decide.
      mesh: a mesh with one axis over devices of this process, which share each
        batch; B must be a multiple of their number. The caller sets it
        (`jax.set_mesh`) around each call. None uses the default device.

    Raises:
      ValueError: `chunk` is below 1.
    """
    if chunk is not None and chunk < 1:
      raise ValueError(f'chunk must be at least 1, got {chunk}')
    self.model = model if dtype is None else model.clone(dtype=dtype)
    self._chunk = chunk
    # With a mesh each device has all parameters and its own rows of a batch.
    self._num_devices, whole, self._rows = 1, None, None
    if mesh is not None:
      self._num_devices = mesh.size
      whole = NamedSharding(mesh, PartitionSpec())
      self._rows = NamedSharding(mesh, PartitionSpec(*mesh.axis_names))
    self.params = jax.device_put(params, whole)
    self._encode = jax.jit(functools.partial(encode, self.model))

  def init(self, batch: int, height: int, width: int) -> jax.Array:
    """Returns the state before the first frame.

    Args:
      batch: B, number of videos encoded side by side.
      height: height of the frames in pixels.
      width: width of the frames in pixels.

    Returns:
      Zeros, float32 [B, 1 + h * w, D].

    Raises:
      ValueError: height or width is not a multiple of the patch, or the batch
        is not a multiple of the mesh's number of devices.
    """
    if batch % self._num_devices:
      raise ValueError(
          f'batch must be a multiple of the {self._num_devices} devices of the'
          f' mesh, got {batch}'
      )
    rows, columns = patches_lib.grid(height, width, self.model.patch)
    shape = batch, 1 + rows * columns, self.model.width
    return jnp.zeros(shape, jnp.float32, device=self._rows)

  def step(
      self, frame: Array, state: jax.Array, reset: Array | None = None
  ) -> tuple[Features, jax.Array]:
    """Folds one frame into the state.

    Args:
      frame: one frame of each video, [B, H, W, 3], uint8, or float in [0, 1].
      state: state that `init` or the previous `step` returned.
      reset: bool [B], True for the videos that begin with this frame: their
        state is set to zero first. None resets no video.

    Returns:
      The features, on the device, patches [B, h, w, D] and cls [B, D]; and the
      state after this frame.

    Raises:
      ValueError: frame, state or reset has another shape, dtype or range.
    """
    if frame.ndim != 4:
      raise ValueError(
          f'frame must be [batch, height, width, 3], got {frame.shape}'
      )
    _check(frame)
    batch, height, width, _ = frame.shape
    # An array `reset` is always passed, so that steps with and without a reset
    # share one compiled program.
    if reset is None:
      reset = np.zeros(batch, bool)
    if reset.shape != (batch,) or reset.dtype != bool:
      raise ValueError(
          f'reset must be bool [{batch}], got {reset.dtype} {reset.shape}'
      )
    encoded = self._run(frame[:, None], state, reset)[:, 0]
    grid = patches_lib.grid(height, width, self.model.patch)
    return _split(encoded, grid, encoded), encoded

  def __call__(self, video: Array, state: jax.Array | None = None) -> Features:
    """Encodes a video, or a batch of videos, of any length.

    A video may be passed in parts, each with the `state` of the features of the
    part before it. The features equal those of the whole video.

    Args:
      video: [T, H, W, 3] or [B, T, H, W, 3], uint8, or float in [0, 1]. H and W
        are multiples of the patch; T is at least 1.
      state: state after the preceding part of the same video, float32
        [B, 1 + h * w, D]; None at the start of a video.

    Returns:
      The features: patches [..., T, h, w, D] and cls [..., T, D] as
      np.ndarrays, with a batch axis if `video` has one, and the state on the
      device.

    Raises:
      ValueError: video or state has another shape, dtype or range.
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
    # The video goes through the device in chunks of `size` frames, chosen by
    # the number of videos that each device encodes.
    share = -(-batch // self._num_devices)
    size = min(self._chunk or choose_chunk(share, state.shape[1]), time)
    for start in range(0, time, size):
      part = batched[:, start : start + size]
      length = part.shape[1]
      # A last part that is shorter is padded with black frames, so that it
      # needs no compilation of its own.
      fill = [(0, 0), (0, size - length), (0, 0), (0, 0), (0, 0)]
      encoded = self._run(np.pad(part, fill), state)
      state = encoded[:, length - 1]
      result[:, start : start + length] = encoded[:, :length]
    return _split(result if video.ndim == 5 else result[0], grid, state)

  def _run(self, *inputs: Array) -> jax.Array:
    """Runs `encode` on its inputs, split over the devices of the mesh.

    Args:
      *inputs: frames, state and, for a single step, reset.

    Returns:
      The state after each frame, float32 [B, T, 1 + N, D].
    """
    if self._rows is not None:
      inputs = jax.device_put(inputs, self._rows)
    return self._encode(self.params, *inputs)


def choose_chunk(batch: int, num_tokens: int) -> int:
  """Returns how many frames of a video to encode in one call.

  The number is 16, or less if the frames or the batch are large: each frame has
  B * (1 + N)^2 attention scores for each head, and the frames of one call have
  at most 2^24 (64 MiB in float32). If a single frame has more, the number is 1.

  Args:
    batch: B, number of videos encoded side by side.
    num_tokens: 1 + N, number of tokens of a frame.
  """
  return max(1, min(_MAX_FRAMES, _MAX_SCORES // (batch * num_tokens**2)))


def load(
    path: str | os.PathLike[str], dtype: str = 'float32', *, ema: bool = True
) -> Encoder:
  """Loads a checkpoint for use on video; `rvm_jax.load` describes it."""
  return Encoder(*weights.load(path, dtype, ema=ema))


def encode(
    model: rvm.RVM,
    params: Mapping[str, Any],
    frames: jax.Array,
    state: jax.Array,
    reset: jax.Array | None = None,
) -> jax.Array:
  """Folds frames into the state; a pure function that `jax.jit` can compile.

  Args:
    model: an RVM.
    params: parameter tree of `model`.
    frames: [B, T, H, W, 3], uint8, or float in [0, 1].
    state: state before the first frame, float32 [B, 1 + N, D].
    reset: bool [B], True for the videos whose state is set to zero first; None
      for none.

  Returns:
    The state after each frame, float32 [B, T, 1 + N, D].
  """
  if reset is not None:
    state = jnp.where(reset[:, None, None], 0, state)
  # By default GPUs and TPUs round the factors of float32 products. This makes
  # them compute in the dtype of the model.
  with jax.default_matmul_precision(model.dtype):
    features, _ = model.apply(
        {'params': params}, frames, state, method='encode'
    )
  return features.astype(jnp.float32)


def _split(encoded: Array, grid: tuple[int, int], state: jax.Array) -> Features:
  """Separates tokens [..., 1 + h * w, D] into CLS and a grid of patches."""
  patches = encoded[..., 1:, :]
  patches = patches.reshape(*patches.shape[:-2], *grid, patches.shape[-1])
  return Features(patches, encoded[..., 0, :], state)


def _check(frames: Array):
  """Raises ValueError unless frames are RGB, uint8 or float in [0, 1]."""
  if frames.shape[-1] != 3:
    raise ValueError(f'frames must have 3 channels (RGB), got {frames.shape}')
  if frames.dtype == np.uint8:
    return
  if not jnp.issubdtype(frames.dtype, jnp.floating):
    raise ValueError(
        f'frames must be uint8, or floats in [0, 1], got {frames.dtype}'
    )
  low, high = float(frames.min()), float(frames.max())
  # Bicubic resizing overshoots [0, 1] a little, hence the margin.
  if not (-0.5 <= low and high <= 1.5):
    raise ValueError(
        f'float frames must lie in [0, 1], got {low} to {high}; divide by 255'
    )
