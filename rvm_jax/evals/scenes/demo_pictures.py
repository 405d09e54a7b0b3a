"""Draws and reads the pictures and movies of the demo's page."""

from collections.abc import Mapping, Sequence
import os
import tempfile
from typing import Any

import numpy as np

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.propagation import still_masks
from rvm_jax.evals.scenes import demo_page
from rvm_jax.evals.scenes import history
from rvm_jax.evals.scenes import verdicts
from rvm_jax.viz import movies
from rvm_jax.viz import panels
from rvm_jax.viz import sheets

_TRUE = 'True masks'
# What each panel of a movie shows.
PANELS = {
    panels.VIDEO: 'The frames, three times slower than they were generated.',
    _TRUE: 'Where the objects are. An object has one colour in all panels.',
    'Trained': 'Masks tracked with the features of the run.',
    'Untrained': 'Masks tracked with the features of the untrained network.',
    'Raw pixels': 'Masks tracked with the pixels of each patch as features.',
    'Masks that stay': 'The masks of the first frame: no tracking at all.',
}
# Names of the results whose masks the last four panels show, in their order.
_RESULTS = (
    verdicts.TRAINED,
    verdicts.UNTRAINED,
    verdicts.RAW,
    still_masks.KINDS['stay'],
)
# Frames per second of the movies; the scenes have 24.
_RATE = 8
# Least and greatest length of a panel's longer side, in pixels.
_PANEL = 256, 384
# Number of pictures of reconstructions on the page.
_NUM_RECONSTRUCTIONS = 3


def draw(
    scenes: Sequence[source_lib.Scene],
    results: Mapping[str, Mapping[str, Any]],
    workdir: str,
) -> list[demo_page.Movie]:
  """Draws tracked masks as movies, and as sheets in `workdir`/pictures.

  Args:
    scenes: scenes to draw. If `results` has more scenes, these are the first.
    results: for each name a dict with the predicted masks of all S scenes,
      'predictions', uint8 [S, T, H, W]. That of `verdicts.TRAINED` also has the
      true masks, 'ground_truth', uint8 [S, T, H, W].
    workdir: folder of the run.

  Returns:
    A movie for each of `scenes`.

  Raises:
    OSError: a file cannot be written.
  """
  folder = os.path.join(workdir, 'pictures')
  os.makedirs(folder, exist_ok=True)
  found = []
  for i, scene in enumerate(scenes):
    ground_truth = results[verdicts.TRAINED]['ground_truth'][i]
    predicted = {name: x['predictions'][i] for name, x in results.items()}
    sheet = sheets.mask_sheet(
        scene.frames, {'ground truth': ground_truth} | predicted
    )
    sheets.save_png(os.path.join(folder, f'masks_{i}.png'), sheet)
    shown = [ground_truth, *(predicted[name] for name in _RESULTS)]
    images = [scene.frames]
    images += [sheets.tint_objects(scene.frames, x) for x in shown]
    found.append(_make_movie(f'Scene {i + 1}', images))
  return found


def _make_movie(name: str, images: Sequence[np.ndarray]) -> demo_page.Movie:
  """Makes a movie of six panels in two layouts.

  Args:
    name: title of the scene.
    images: frames of each panel in the order of `PANELS`, uint8 [T, H, W, 3].
  """
  drawn = {
      panel: panels.fit(x, *_PANEL)
      for panel, x in zip(PANELS, images, strict=True)
  }
  files, sizes = [], []
  with tempfile.TemporaryDirectory() as folder:
    for columns in (len(PANELS), 2):
      path = os.path.join(folder, f'{columns}.mp4')
      laid_out = panels.lay_out(drawn, columns)
      sizes.append(movies.save_movie(path, laid_out, _RATE))
      with open(path, 'rb') as f:
        files.append(f.read())
  return demo_page.Movie(name, *files, *sizes)


def read_reconstructions(workdir: str) -> dict[int, bytes]:
  """Returns the PNG files of a few reconstructions of a run, by step."""
  found = {}
  paths = history.find_reconstructions(workdir, _NUM_RECONSTRUCTIONS)
  for step, path in paths.items():
    with open(path, 'rb') as f:
      found[step] = f.read()
  return found
