"""Encodes a video frame by frame: state, colours of features, and tracks."""

import collections
from collections.abc import Sequence

import numpy as np

from rvm_jax import streaming
from rvm_jax.live import tracks as tracks_lib
from rvm_jax.viz import colors
from rvm_jax.viz import maps

# Number of the last frames whose features are kept. A click may refer to any of
# them.
NUM_KEPT = 16
# Number of the newest frames that colours are fitted to.
_NUM_FITTED = 8
# Number of frames at the start in which the state builds up from zero. Colours
# are fitted anew in each of these frames, and then stay fixed.
_NUM_UNSETTLED = 16
# Greatest number of tracks. Colour-blind people can tell the first seven
# colours apart, and the bound limits the time that a frame takes.
MAX_TRACKS = 7


class Session:
  """Encodes one video, colours its features, and tracks regions in it.

  The cost of a frame does not grow with the number of frames before it.

  Attributes:
    size: height and width in pixels of the frames that the model gets.
    number: number of the newest frame, from 0; -1 before the first one.
    tracks: regions that are being tracked, in the order of the clicks.
  """

  def __init__(self, encoder: streaming.Encoder, height: int, width: int):
    """Starts before the first frame.

    Args:
      encoder: the model.
      height: height of the frames in pixels, a multiple of the patch.
      width: width of the frames in pixels, a multiple of the patch.

    Raises:
      ValueError: a side is not a multiple of the patch.
    """
    self.size = height, width
    self.number = -1
    self.tracks: list[tracks_lib.Track] = []
    self._encoder = encoder
    self._state = encoder.init(1, height, width)
    # Features of the last frames, float32 [h, w, D], the newest at the end.
    self._kept: collections.deque[np.ndarray] = collections.deque(
        maxlen=NUM_KEPT
    )
    self._basis: maps.Basis | None = None

  def step(self, frame: np.ndarray):
    """Encodes the next frame and follows all tracks into it.

    Args:
      frame: uint8 [H, W, 3], of the size of the session.

    Raises:
      ValueError: the frame has another shape; or the model has fewer than three
        channels or the frame fewer than three patches, too few for colours.
    """
    if frame.shape != (*self.size, 3):
      raise ValueError(f'frame must be {(*self.size, 3)}, got {frame.shape}')
    features, self._state = self._encoder.step(frame[None], self._state)
    patches = np.asarray(features.patches[0])  # [h, w, D]
    for track in self.tracks:
      track.step(patches)
    self._kept.append(patches)
    self.number += 1
    if self.number < _NUM_UNSETTLED:
      self.recolour()

  def recolour(self):
    """Fits the colours to the newest frames; does nothing without a frame."""
    if self._kept:
      newest = np.stack(list(self._kept)[-_NUM_FITTED:])
      self._basis = maps.fit_basis(self._center(newest), self._basis)

  def paint(self) -> np.ndarray:
    """Returns the colours of the newest frame's patches, uint8 [h, w, 3].

    Raises:
      ValueError: there is no frame yet.
    """
    if self._basis is None:
      raise ValueError('no frame was given yet, so there are no colours')
    newest = self._center(self._kept[-1])
    return colors.to_bytes(maps.apply_basis(newest, self._basis))

  def _center(self, features: np.ndarray) -> np.ndarray:
    """Subtracts frame means for models with `content_first`, before colouring.

    Args:
      features: float [..., h, w, D].

    Returns:
      float [..., h, w, D].
    """
    if self._encoder.model.content_first:
      return maps.center_frames(features)
    return features

  def click(self, x: float, y: float, number: int):
    """Begins to track the region around a point of a frame.

    The region is followed at once through the frames that came after the
    clicked one. A click on a picture that is no longer the newest thus tracks
    what that picture showed.

    Args:
      x: horizontal position of the point in pixels, in [0, width).
      y: vertical position of the point in pixels, in [0, height).
      number: number of the clicked frame, one of the last 16.

    Raises:
      ValueError: the point lies outside of the frame, the frame is not kept, or
        seven regions are tracked already.
    """
    height, width = self.size
    if not (0 <= x < width and 0 <= y < height):
      raise ValueError(
          f'the click at x={x:g}, y={y:g} lies outside of the frame, which is'
          f' {width} x {height} pixels'
      )
    oldest = self.number - len(self._kept) + 1
    if not oldest <= number <= self.number:
      raise ValueError(
          f'frame {number} cannot be clicked any more: frames {oldest} to'
          f' {self.number} are kept'
      )
    if len(self.tracks) == MAX_TRACKS:
      raise ValueError(
          f'{MAX_TRACKS} regions are tracked already, the most that are'
          ' possible: clear them first'
      )
    first, *later = list(self._kept)[number - oldest :]
    patch = self._encoder.model.patch
    disc = tracks_lib.draw_disc(x / patch, y / patch, first.shape[:2])
    track = tracks_lib.Track(
        first, disc, center_frames=self._encoder.model.content_first
    )
    for features in later:
      track.step(features)
    self.tracks.append(track)

  def clear(self):
    """Ends all tracks."""
    self.tracks.clear()

  def find_centres(self) -> Sequence[tuple[float, float] | None]:
    """Returns the centre (x, y) of each track in pixels; None if not seen."""
    patch = self._encoder.model.patch
    centres = [track.find_centre() for track in self.tracks]
    return [c and (patch * c[0], patch * c[1]) for c in centres]
