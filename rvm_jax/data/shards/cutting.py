"""Cuts the frames of a video into clips, and scales them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from rvm_jax.data.video import reader


def cut(
    frames: Iterable[np.ndarray],
    clip_frames: int,
    is_cut: Callable[[np.ndarray], bool],
) -> Iterator[tuple[int, list[np.ndarray]]]:
  """Divides frames into clips, and keeps only one clip at a time in memory.

  Args:
    frames: the frames of a video in order, uint8 [H, W, 3] each.
    clip_frames: number of frames of a clip. The last clip of the video, and the
      last clip before a scene cut, may have fewer.
    is_cut: function that is called with each frame, and returns whether it is
      the first after a scene cut.

  Yields:
    The number of the clip's first frame, counted from the first of `frames`;
    and the frames of the clip.

  Raises:
    BrokenVideo: `frames` raised it. All frames before the damage are yielded
      first.
  """
  start, clip, damage = 0, [], None
  try:
    for frame in frames:
      # `is_cut` comes first, because a detector of cuts has to see every frame.
      is_end = is_cut(frame) or len(clip) == clip_frames
      if clip and is_end:
        yield start, clip
        start, clip = start + len(clip), []
      clip.append(frame)
  except reader.BrokenVideo as error:
    damage = error
  if clip:
    yield start, clip
  if damage is not None:
    raise damage


def fit(
    height: int, width: int, short_side: int, is_even: bool
) -> tuple[int, int]:
  """Returns height and width in pixels of a frame after it is reduced.

  Args:
    height: height of the frame in pixels.
    width: width of the frame in pixels.
    short_side: greatest length in pixels of the frame's shorter side. Smaller
      frames keep their size.
    is_even: whether height and width must be even. An odd one is then reduced
      by one pixel, or raised from 1 to 2.
  """
  share = min(1, short_side / min(height, width))
  sizes = [max(1, round(share * size)) for size in (height, width)]
  if is_even:
    sizes = [max(2, size - size % 2) for size in sizes]
  return sizes[0], sizes[1]


def scale(frame: np.ndarray, short_side: int, is_even: bool) -> np.ndarray:
  """Returns a reduced copy of a frame (bicubic, antialiased).

  Args:
    frame: the frame, uint8 [H, W, 3].
    short_side: greatest length in pixels of the frame's shorter side.
    is_even: whether height and width of the result must be even.
  """
  height, width, _ = frame.shape
  size = fit(height, width, short_side, is_even)
  if size == (height, width):
    return frame.copy()
  image = Image.fromarray(np.ascontiguousarray(frame))
  return np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))


def versions() -> dict[str, str]:
  """Returns the versions of the libraries that find scene cuts.

  Raises:
    ImportError: they are not installed.
  """
  cv2, scenedetect = _import_libraries()
  return {'opencv': cv2.__version__, 'scenedetect': scenedetect.__version__}


class CutDetector:
  """Tells which frames follow a scene cut, with PySceneDetect.

  Its ContentDetector compares hue, saturation and brightness of neighbouring
  frames. Fades and other gradual changes are no cuts.

  Attributes:
    num_cuts: number of cuts so far.
  """

  def __init__(self):
    """Makes a detector for the frames of one video.

    Raises:
      ImportError: PySceneDetect is not installed.
    """
    cv2, scenedetect = _import_libraries()
    # One thread is enough, because each core packs videos of its own.
    cv2.setNumThreads(1)
    self.num_cuts = 0
    self._time = scenedetect.FrameTimecode(0, 25.0)
    # If scenes may have any length, the detector reports a cut at once, when it
    # sees the first frame after it.
    self._detector = scenedetect.ContentDetector(min_scene_len=0)

  def __call__(self, frame: np.ndarray) -> bool:
    """Returns whether a frame, uint8 [H, W, 3], is the first after a cut."""
    bgr = np.ascontiguousarray(frame[..., ::-1])
    is_cut = bool(self._detector.process_frame(self._time, bgr))
    self._time += 1
    self.num_cuts += is_cut
    return is_cut


def _import_libraries() -> tuple[Any, Any]:
  """Returns the modules of OpenCV and PySceneDetect, which are optional."""
  try:
    import cv2
    import scenedetect
  except ImportError as error:
    raise ImportError(
        'scene cuts are found by PySceneDetect, which is not installed: pip'
        " install 'rvm_jax[cuts]'"
    ) from error
  return cv2, scenedetect
