"""Sources of frames: a video file, or a camera.

The two classes share an interface. Their attributes are `name`, `shape` (height
and width of the upright frames in pixels) and `note` (what is wrong with the
source, '' if nothing is). Their methods are `read`, which returns the next
frame or None after the last one, `restart` and `close`.
"""

from collections.abc import Iterator
import itertools
import os
import sys
import threading
import time

import av
import numpy as np

from rvm_jax.data.video import decoder
from rvm_jax.features import playback

# For each platform: FFmpeg's name of the input that reads cameras, the options
# of this input, and the camera that is taken if none is named. On a Mac FFmpeg
# asks for 29.97 frames a second unless it is told otherwise, and most cameras
# refuse that rate.
_CAMERAS: dict[str, tuple[str, dict[str, str], str]] = {
    'linux': ('v4l2', {}, '/dev/video0'),
    'darwin': ('avfoundation', {'framerate': '30'}, '0'),
    'win32': ('dshow', {}, ''),
}
# A camera that gives no frame for this long counts as failed, in seconds.
_PATIENCE = 10.0
# Wait before the next try if a camera has no frame yet or a damaged one, in
# seconds.
_PAUSE = 0.005


class VideoFile:
  """The frames of a video file or folder of pictures, one after the other.

  After damage, frames are left out up to the next key frame.

  Attributes:
    name: name of the file or folder, without the folder that it lies in.
    shape: height and width of the upright frames in pixels.
  """

  _frames: Iterator[playback.Frame]

  def __init__(self, path: str):
    """Opens a file, or a folder of pictures.

    Args:
      path: path of the file or folder.

    Raises:
      ValueError: the file is not a video, or has fewer than two good frames.
    """
    self.name = os.path.basename(os.path.abspath(path))
    self._path = path
    self.restart()
    try:
      first = list(itertools.islice(self._frames, 2))
    except decoder.BrokenVideo as error:
      raise ValueError(f'{error}; give a video that FFmpeg can read') from error
    if len(first) < 2:
      raise ValueError(
          f'{path}: expected a video of two or more good frames, got'
          f' {len(first)}: in a single one nothing can be tracked'
      )
    self.shape = decoder.shape(first[0].picture)
    self._frames = itertools.chain(first, self._frames)

  def restart(self):
    """Goes back to the first frame."""
    self._playback = playback.Playback(self._path)
    self._frames = iter(self._playback)

  def read(self) -> playback.Frame | None:
    """Returns the next good frame; None after the last one."""
    return next(self._frames, None)

  @property
  def note(self) -> str:
    """Sentences about frames that are missing so far; '' if none are."""
    return '; '.join(self._playback.notes())

  def close(self):
    """Closes the file."""
    self._frames = iter(())


class Camera:
  """The newest frame of a camera.

  A thread reads the camera and keeps the newest frame alone. Frames that nobody
  has asked for in time are dropped, so that the frames shown are never late.

  Attributes:
    name: the word 'camera' and the name of the device.
    shape: height and width of the upright frames in pixels.
    note: why the camera ended; '' as long as it runs.
  """

  def __init__(self, device: str):
    """Opens a camera and waits for its first frame.

    Args:
      device: name of the camera as FFmpeg knows it, such as '/dev/video0'; ''
        takes the platform's first one.

    Raises:
      ValueError: there is no such camera, it gives no frame, or the platform
        has no default.
    """
    kind, options, default = _CAMERAS.get(sys.platform, _CAMERAS['linux'])
    device = device or default
    if not device:
      raise ValueError(
          '--camera needs the name of the camera here, such as --camera'
          ' "video=Integrated Camera"'
      )
    self.name, self.note = f'camera {device}', ''
    try:
      self._container = av.open(device, format=kind, options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
      # ValueError: this build of FFmpeg lacks the input.
      reason = getattr(error, 'strerror', None) or error
      raise ValueError(
          f'no camera at {device}: {reason}; name another with --camera DEVICE,'
          ' or show a file with --video FILE'
      ) from error
    self._newest: av.VideoFrame | None = None
    self._changed = threading.Condition()
    self._is_closed = False
    self._thread = threading.Thread(target=self._run, daemon=True)
    self._thread.start()
    first = self.read()
    if first is None:
      raise ValueError(f'{self.name} gave no frame: {self.note}')
    self.shape = decoder.shape(first.picture)

  def restart(self):
    """Does nothing: a camera has no first frame."""

  def read(self) -> playback.Frame | None:
    """Waits for a new frame and returns it; None if the camera ended."""
    with self._changed:
      self._changed.wait_for(
          lambda: self._newest is not None or self.note, _PATIENCE
      )
      picture, self._newest = self._newest, None
      if picture is not None:
        return playback.Frame(np.nan, picture)
      self.note = self.note or f'no frame for {_PATIENCE:g} s'
      return None

  def close(self):
    """Ends the thread and closes the camera."""
    self._is_closed = True
    self._thread.join(timeout=1)
    # A camera that hangs cannot be closed while its thread waits for it.
    if not self._thread.is_alive():
      self._container.close()

  def _run(self):
    reason = ''
    while not (self._is_closed or reason):
      try:
        for picture in self._container.decode(video=0):
          with self._changed:
            self._newest = picture
            self._changed.notify()
          if self._is_closed:
            break
        else:
          reason = 'it has ended'
      except (av.BlockingIOError, av.InvalidDataError):
        time.sleep(_PAUSE)
      except av.FFmpegError as error:
        reason = error.strerror or str(error)
    with self._changed:
      self.note = reason or 'it was closed'
      self._changed.notify()
