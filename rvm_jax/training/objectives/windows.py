"""Features of each frame of a video from a model that encodes short clips."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def encode(
    encode_clips: Callable[[jax.Array], jax.Array],
    frames: jax.Array,
    length: int,
) -> jax.Array:
  """Encodes videos in windows of the length that a model is trained on.

  Windows do not overlap. The last one is filled up with the video's last frame.
  If the model has fewer steps than frames, each frame of a tubelet gets the
  features of the tubelet.

  Args:
    encode_clips: function from the frames of n windows, [n, length, H, W, 3],
      to their features, [n, steps, h, w, D], where `steps` divides `length`.
    frames: [B, T, H, W, 3], whole videos.
    length: number of frames of a window.

  Returns:
    The features of each frame, [B, T, h, w, D].
  """
  batch, time, *image = frames.shape
  # Fill up the last window, and encode all windows of all videos together.
  padding = [(0, 0)] * frames.ndim
  padding[1] = (0, -time % length)
  padded = jnp.pad(frames, padding, 'edge')
  features = encode_clips(padded.reshape(-1, length, *image))
  # Repeat the features of each step for its frames, and drop the padding.
  features = jnp.repeat(features, length // features.shape[1], axis=1)
  return features.reshape(batch, -1, *features.shape[2:])[:, :time]
