"""Packed clips for the tests."""

import numpy as np

from rvm_jax.data.shards import schema


def moving_frames(num_frames, height=48, width=64):
  """Returns frames of a smooth motion, uint8 [num_frames, height, width, 3]."""
  y, x = np.mgrid[:height, :width]
  frames = [
      np.stack(
          [
              100 + 90 * np.sin((x - 2 * number) / 15),
              80 + 60 * np.sin((y + 3 * number) / 20),
              100 + 0 * x,
          ],
          axis=-1,
      )
      for number in range(num_frames)
  ]
  return np.array(frames).astype(np.uint8)


def example(frames, encoding='jpeg', **values):
  """Returns a record of `frames`, for `schema.serialize`.

  Args:
    frames: the frames, uint8 [n, H, W, 3].
    encoding: 'jpeg' or 'mp4'.
    **values: features to replace, by name.
  """
  if encoding == 'jpeg':
    content, offsets = schema.pack_jpeg(frames, 95)
  else:
    content, offsets = schema.pack_mp4(frames, 25, 10)
  num_frames, height, width, _ = frames.shape
  return {
      'frames': content,
      'offsets': offsets,
      'encoding': encoding,
      'num_frames': num_frames,
      'height': height,
      'width': width,
      'start': 0,
      'frame_rate': 25.0,
      'video': 'a.mp4',
      'label': '',
      **values,
  }
