"""Computes what the page shows: frames with tracks, and colours of features.

The public methods of `Player` return a dict, which becomes JSON, that describes
the newest frame:

  number: number of the frame, from 0.
  time: timestamp of the frame in seconds, or None if it has none.
  size: height and width in pixels of the frame that the model sees. Positions
    (x, y) of tracks and clicks are in these pixels.
  patch: side of a patch in these pixels.
  picture, components: the frame with its tracks, and the colours of its
    features, as data URLs.
  tracks: a dict for each track with its `color` (CSS) and its centre `x`, `y`,
    which are None if the model does not see the region in this frame.
  milliseconds: time from the decoded frame to the finished pictures.
  has_ended: whether there is no frame after this one.
  note: what is wrong with the video or the camera, once it has ended; else ''.
"""

import base64
import dataclasses
import io
import math
import time
from typing import Any

import numpy as np
from PIL import Image

from rvm_jax import streaming
from rvm_jax.data.video import decoder
from rvm_jax.evals.propagation import masks
from rvm_jax.features import playback
from rvm_jax.features import views
from rvm_jax.live import frames
from rvm_jax.live import session as session_lib
from rvm_jax.live import tracks as tracks_lib
from rvm_jax.viz import colors

# Patches on the shorter side of a frame, as in the training of the released
# models.
_NUM_PATCHES = 16
# Least and greatest length in pixels of the longer side of the picture shown.
_LEAST, _MOST = 320, 640
_JPEG_QUALITY = 85


class Player:
  """Plays a source of frames through a model, one frame for each call.

  Attributes:
    view: box in the frames that the model sees, and the size that the box is
      resized to.
  """

  _frame: playback.Frame | None

  def __init__(
      self,
      source: frames.VideoFile | frames.Camera,
      encoder: streaming.Encoder,
      size: tuple[int, int] | None = None,
  ):
    """Compiles the programs, so that no frame and no click waits for them.

    Args:
      source: video file or camera that gives the frames.
      encoder: the model.
      size: height and width in pixels of the frames that the model gets; None
        takes the size that `choose_view` chooses.

    Raises:
      ValueError: a side is not a multiple of the patch, or there are too few
        patches or channels for colours.
    """
    self._source, self._encoder = source, encoder
    self.view = choose_view(source.shape, size, encoder.model.patch)
    height, width = self.view.height, self.view.width
    x0, y0, x1, y1 = self.view.box
    longer = max(x1 - x0, y1 - y0)
    scale = min(max(longer, _LEAST), _MOST) / longer
    self._shown = dataclasses.replace(
        self.view,
        height=round((y1 - y0) * scale),
        width=round((x1 - x0) * scale),
    )
    self._rgb = decoder.RGB()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    trial = session_lib.Session(encoder, height, width)
    trial.step(noise.astype(np.uint8))
    trial.click(0, 0, 0)
    self._begin()

  def advance(self, after: int) -> dict[str, Any]:
    """Describes the frame that follows the one that a page shows.

    Args:
      after: number of the frame that the page shows; -1 for none. If another
        page was given a newer frame already, that frame is described again.

    Raises:
      ValueError: the source has given no frame at all.
    """
    if self._session.number > after >= -1:
      return self._describe()
    frame = self._source.read()
    self._has_ended = frame is None
    if frame is None:
      return self._describe()
    start = time.monotonic()
    self._frame = frame
    self._session.step(self.view.crop(frame.picture, self._rgb))
    result = self._describe()
    self._milliseconds = 1000 * (time.monotonic() - start)
    return result | {'milliseconds': self._milliseconds}

  def click(self, x: float, y: float, number: int) -> dict[str, Any]:
    """Tracks the region around a point of a frame.

    Args:
      x: horizontal position of the point, in pixels of the model's frame.
      y: vertical position of the point, in pixels of the model's frame.
      number: number of the frame that was clicked.

    Raises:
      ValueError: the point lies outside of the frame, the frame is too old, or
        there are too many tracks.
    """
    self._session.click(x, y, number)
    return self._describe()

  def clear(self) -> dict[str, Any]:
    """Ends all tracks."""
    self._session.clear()
    return self._describe()

  def recolour(self) -> dict[str, Any]:
    """Fits the colours to the newest frames."""
    self._session.recolour()
    return self._describe()

  def restart(self) -> dict[str, Any]:
    """Begins anew: at the start of the file, with no state and no tracks."""
    self._source.restart()
    self._begin()
    return self.advance(-1)

  def _begin(self):
    size = self.view.height, self.view.width
    self._session = session_lib.Session(self._encoder, *size)
    self._frame = None
    self._has_ended, self._milliseconds = False, 0.0

  def _describe(self) -> dict[str, Any]:
    session, frame = self._session, self._frame
    if frame is None:
      note = self._source.note or 'none was asked for'
      raise ValueError(f'{self._source.name}: no frame yet: {note}')
    centres = session.find_centres()
    return {
        'number': session.number,
        'time': None if math.isnan(frame.time) else frame.time,
        'size': session.size,
        'patch': self._encoder.model.patch,
        'picture': _encode(self._draw(frame), 'JPEG', quality=_JPEG_QUALITY),
        'components': _encode(session.paint(), 'PNG'),
        'tracks': [
            {'color': _name_color(i), 'x': c and c[0], 'y': c and c[1]}
            for i, c in enumerate(centres)
        ],
        'milliseconds': self._milliseconds,
        'has_ended': self._has_ended,
        'note': self._source.note if self._has_ended else '',
    }

  def _draw(self, frame: playback.Frame) -> np.ndarray:
    """Draws the frame with its tracks over it, uint8 [H, W, 3]."""
    picture = self._shown.crop(frame.picture, self._rgb)
    if not self._session.tracks:
      return picture
    # Where regions overlap, the one with the greatest share of a pixel is
    # drawn.
    labels = np.stack([t.labels for t in self._session.tracks], -1)
    labels = masks.resize(labels, picture.shape[:2])  # [H, W, tracks]
    winner = labels.argmax(-1)
    is_tracked = labels.max(-1) > tracks_lib.THRESHOLD
    painted = picture // 2 + colors.KINDS[winner] // 2
    return np.where(is_tracked[..., None], painted, picture)


def choose_view(
    source: tuple[int, int], size: tuple[int, int] | None, patch: int
) -> views.View:
  """Chooses which part of the frames the model sees, and at which size.

  Args:
    source: height and width of the frames in pixels.
    size: height and width in pixels of the frames that the model gets. Frames
      of another aspect ratio are cropped. None takes 16 patches for the shorter
      side, and for the longer one the number of patches that keeps the aspect
      ratio best.
    patch: side of a patch in pixels.

  Raises:
    ValueError: a side is not a multiple of the patch.
  """
  shorter = _NUM_PATCHES * patch
  is_wide = source[0] <= source[1]
  height, width = size or ((shorter, None) if is_wide else (None, shorter))
  return views.choose(source, height, width, patch, 'crop')


def _encode(image: np.ndarray, kind: str, **options: int) -> str:
  """Returns an image, uint8 [H, W, 3], as a data URL."""
  file = io.BytesIO()
  Image.fromarray(image).save(file, kind, **options)
  data = base64.b64encode(file.getvalue()).decode('ascii')
  return f'data:image/{kind.lower()};base64,{data}'


def _name_color(track: int) -> str:
  """Returns the colour of a track in CSS, such as '#e69f00'."""
  return '#' + bytes(colors.KINDS[track]).hex()
