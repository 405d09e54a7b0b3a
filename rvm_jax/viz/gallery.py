"""A gallery on disk: the page, with the movies and pictures that it shows."""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import shutil

import numpy as np

from rvm_jax.viz import colors
from rvm_jax.viz import maps
from rvm_jax.viz import movies
from rvm_jax.viz import page
from rvm_jax.viz import panels
from rvm_jax.viz import reconstructions
from rvm_jax.viz import sheets

# Frames per second of the movies, as in the paper's figures.
RATE = 16
PAGE = 'index.html'

_UNFINISHED = '.unfinished'
# Least and greatest length of a picture's longer side, in pixels.
_SHEET_CELL = 128, 256
_STRIP_CELL = 256, 384
# Space between the pictures of a strip, in pixels.
_GAP = 6


@contextlib.contextmanager
def unfinished(folder: str, is_replaced: bool = False) -> Iterator[str]:
  """Provides a temporary folder, whose files move to `folder` at the end.

  A gallery is thus never half written. When the `with` block ends without an
  error, the files replace those of the same names in `folder`, the page last;
  other files stay. After an error nothing moves. What a killed run has left
  behind is deleted.

  Args:
    folder: folder of the gallery, which is created if it does not exist.
    is_replaced: whether a gallery that is in the folder is replaced. Otherwise
      such a folder is refused.

  Yields:
    Path of the temporary folder, which is inside `folder`.

  Raises:
    OSError: the folder cannot be created or written.
    ValueError: another process is writing to the folder, or the folder has a
      gallery that is not to be replaced.
  """
  os.makedirs(folder, exist_ok=True)
  temporary = os.path.join(folder, _UNFINISHED)
  with _locked(folder):
    has_page = os.path.lexists(os.path.join(folder, PAGE))
    if has_page and not is_replaced:
      raise ValueError(
          f'{folder} has a page already, {PAGE}: choose another --out, or pass'
          ' --replace to replace it'
      )
    if os.path.isdir(temporary):
      shutil.rmtree(temporary)
    os.mkdir(temporary)
    try:
      yield temporary
      for name in sorted(os.listdir(temporary), key=_is_page):
        os.replace(os.path.join(temporary, name), os.path.join(folder, name))
    finally:
      shutil.rmtree(temporary)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
  """Locks a folder, so that two writers do not delete each other's files.

  The lock also ends with the process.
  """
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise ValueError(
          f'{folder} is being written by another process'
      ) from error
    yield
  finally:
    os.close(descriptor)


def _is_page(name):
  return name == PAGE


def add(
    folder: str,
    name: str,
    about: str,
    stem: str,
    frames: np.ndarray,
    features: np.ndarray,
    patch: int,
    center_frames: bool,
    reconstruction: reconstructions.ReconstructedFrames | str,
) -> page.Section:
  """Writes the movies and pictures of one video.

  Args:
    folder: folder for the files.
    name: title of the video on the page.
    about: sentences about the video, for the page.
    stem: beginning of the files' names.
    frames: uint8 [T, H, W, 3], T at least 2.
    features: states after each frame, float [T, h, w, D].
    patch: side of a patch in pixels.
    center_frames: whether the mean of each frame is subtracted from its
      features before components and clusters are computed.
    reconstruction: reconstructed frames of the video, or a sentence that says
      why there are none.

  Returns:
    The section of the page that shows the files.

  Raises:
    ValueError: the video has fewer than five patches, or the features fewer
      than five channels.
  """
  path = os.path.join(folder, stem)
  state_change = maps.state_change(features)
  pixel_change = maps.pixel_change(frames, patch)
  shown = maps.center_frames(features) if center_frames else features
  drawn = panels.draw(
      frames,
      maps.find_components(shown),
      maps.find_clusters(shown),
      state_change,
      pixel_change,
  )
  wide, tall = (
      movies.save_movie(
          f'{path}-{kind}.mp4', panels.lay_out(drawn, columns), RATE
      )
      for kind, columns in (('wide', 3), ('tall', 2))
  )
  times = sheets.spread(len(frames))
  sheet = sheets.panel_sheet(
      {kind: panels.fit(x[times], *_SHEET_CELL) for kind, x in drawn.items()},
      times,
  )
  sheets.save_png(f'{path}.png', sheet)
  if isinstance(reconstruction, str):
    summary = reconstruction
  else:
    summary = _save_strips(path, reconstruction, patch)
  return page.Section(
      name=name,
      about=about,
      stem=stem,
      num_frames=len(frames),
      wide_size=wide,
      tall_size=tall,
      sheet_size=sheet.shape[:2],
      change=state_change.mean((1, 2)),
      full_state_change=panels.full_change(state_change),
      full_pixel_change=panels.full_change(pixel_change),
      reconstruction=summary,
  )


def _save_strips(path, reconstruction, patch):
  """Writes three strips: masked, reconstructed and true target frames."""
  source, target, visible, pixels = reconstruction
  strips = {
      'seen': sheets.hide_patches(target, visible, patch),
      'painted': colors.to_bytes(pixels),
      'true': target,
  }
  for kind, images in strips.items():
    strip = _join(panels.fit(images, *_STRIP_CELL))
    sheets.save_png(f'{path}-{kind}.png', strip)
  return page.ReconstructionSummary(
      frames=(len(source), len(source) + len(target) - 1),
      num_visible=visible.shape[1],
      num_patches=target[0, ..., 0].size // patch**2,
      error=_mean_squared_error(pixels, target),
      copy_error=_mean_squared_error(source[-1:] / 255, target),
      size=strip.shape[:2],
  )


def _mean_squared_error(pixels, frames):
  """Returns the error of float pixels in [0, 1] against uint8 frames."""
  return float(np.square(pixels - frames / 255).mean())


def _join(images):
  """Places images [K, H, W, 3] side by side."""
  gap = np.full((images.shape[1], _GAP, 3), panels.BACKGROUND, np.uint8)
  parts = [part for image in images for part in (gap, image)]
  return np.concatenate(parts[1:], 1)
