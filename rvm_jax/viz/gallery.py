"""A gallery on disk: movies, sheets and the page, which appear together."""

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

RATE = 16  # Frames per second of the movies, as in the paper's figures.
PAGE = 'index.html'

_UNFINISHED = '.unfinished'
# Pixels, least and most: the longer side of a picture.
_SHEET_CELL = 128, 256
_STRIP_CELL = 256, 384
_GAP = 6


@contextlib.contextmanager
def unfinished(folder: str) -> Iterator[str]:
  """A folder for files that go to `folder` once all of them are there.

  They replace files of the same names; the page comes last. What an
  interrupted run left is thrown away by the next.

  Raises:
    OSError: nothing can be written there.
    ValueError: another process is writing there.
  """
  os.makedirs(folder, exist_ok=True)
  part = os.path.join(folder, _UNFINISHED)
  lock = _lock(folder)
  try:
    if os.path.isdir(part):
      shutil.rmtree(part)
    os.mkdir(part)
    try:
      yield part
      for name in sorted(os.listdir(part), key=lambda name: name == PAGE):
        os.replace(os.path.join(part, name), os.path.join(folder, name))
    finally:
      shutil.rmtree(part)
  finally:
    os.close(lock)


def _lock(folder: str) -> int:
  """Two writers of one gallery would throw away each other's files.

  Returns:
    A file descriptor: the lock goes when it is closed, or the process ends.
  """
  lock = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    os.close(lock)
    raise ValueError(f'{folder} is being written by another process') from error
  return lock


def add(
    folder: str,
    name: str,
    about: str,
    stem: str,
    frames: np.ndarray,
    features: np.ndarray,
    patch: int,
    reconstruction: reconstructions.Reconstruction | str,
) -> page.Section:
  """Draws all that is shown of a video.

  Args:
    folder: where the files go.
    name: of the video, for people.
    about: sentences about it.
    stem: of the files' names.
    frames: uint8 [T, H, W, 3], T at least 2.
    features: float [T, h, w, D], the states after each frame.
    patch: side of a patch in pixels.
    reconstruction: of it, or a sentence why there is none.

  Returns:
    What the page says of it.
  """
  path = os.path.join(folder, stem)
  state_change = maps.state_change(features)
  pixel_change = maps.pixel_change(frames, patch)
  drawn = panels.draw(
      frames,
      maps.find_components(features),
      maps.find_clusters(features),
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
    painting = reconstruction
  else:
    painting = _save_strips(path, reconstruction, patch)
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
      painting=painting,
  )


def _save_strips(path, reconstruction, patch):
  """Writes a row of pictures each: as seen, as painted, as it was."""
  source, target, visible, pixels = reconstruction
  strips = {
      'seen': sheets.hide_patches(target, visible, patch),
      'painted': colors.to_bytes(pixels),
      'true': target,
  }
  for kind, images in strips.items():
    strip = _join(panels.fit(images, *_STRIP_CELL))
    sheets.save_png(f'{path}-{kind}.png', strip)
  error = lambda guess: float(np.square(guess - target / 255).mean())
  return page.Painting(
      frames=(len(source), len(source) + len(target) - 1),
      shown=visible.shape[1],
      num_patches=target[0, ..., 0].size // patch**2,
      error=error(pixels),
      copy_error=error(source[-1:] / 255),
      size=strip.shape[:2],
  )


def _join(images):
  """Sets [K, H, W, 3] side by side."""
  gap = np.full((images.shape[1], _GAP, 3), panels.GROUND, np.uint8)
  parts = [part for image in images for part in (gap, image)]
  return np.concatenate(parts[1:], 1)
