"""Formats of video files to test, and a check that a reader is exact."""

import numpy as np

from rvm_jax.data.video import reader

# Encoder, options of the encoder and pixel format of each file, by file name.
FORMATS = {
    'one_key_frame.mp4': ('libx264', {'g': '250', 'bf': '3'}, 'yuv420p'),
    'open_gop.mp4': (
        'libx264',
        {'x264-params': 'keyint=12:open-gop=1:bframes=3:scenecut=0'},
        'yuv420p',
    ),
    'short_gop.mp4': ('libx264', {'g': '3', 'bf': '2'}, 'yuv420p'),
    'refreshed.mp4': (
        'libx264',
        {'x264-params': 'keyint=12:intra-refresh=1'},
        'yuv420p',
    ),
    'interlaced.mp4': (
        'libx264',
        {'g': '12', 'x264-params': 'interlaced=1'},
        'yuv420p',
    ),
    'h264.mkv': ('libx264', {'g': '12', 'bf': '3'}, 'yuv420p'),
    'h264.ts': ('libx264', {'g': '12', 'bf': '3'}, 'yuv420p'),
    'h264.avi': ('libx264', {'g': '12', 'bf': '3'}, 'yuv420p'),
    'open_gop_hevc.mp4': (
        'libx265',
        {'x265-params': 'keyint=12:open-gop=1:bframes=3:log-level=none'},
        'yuv420p',
    ),
    'mpeg4.mp4': ('mpeg4', {'g': '12', 'bf': '2'}, 'yuv420p'),
    'mpeg4.avi': ('mpeg4', {'g': '12', 'bf': '2'}, 'yuv420p'),
    'msmpeg4.avi': ('msmpeg4', {'g': '12'}, 'yuv420p'),
    'mpeg2.mpg': ('mpeg2video', {'g': '12', 'bf': '2'}, 'yuv420p'),
    'mjpeg.avi': ('mjpeg', {}, 'yuvj420p'),
    'vp9.webm': (
        'libvpx-vp9',
        {'g': '12', 'deadline': 'realtime', 'cpu-used': '8'},
        'yuv420p',
    ),
    'vp8.webm': ('libvpx', {'g': '12', 'cpu-used': '5'}, 'yuv420p'),
    'ffv1.mkv': ('ffv1', {'g': '12'}, 'yuv420p'),
    'animation.gif': ('gif', {}, 'rgb8'),
}


def assert_exact(path, contents, expected, numbers):
  """Asserts that `reader.read` returns exactly the expected frames.

  Args:
    path: path of the video.
    contents: what `reader.scan` returned for it.
    expected: all frames of the video, uint8 [H, W, 3] each.
    numbers: numbers of the frames to read.
  """
  frames = reader.read(path, contents, numbers)
  assert frames.dtype == np.uint8
  for frame, number in zip(frames, numbers, strict=True):
    assert np.array_equal(frame, expected[number]), (path, number)
