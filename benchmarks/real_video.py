r"""Pretrains on recorded video and scores masks in videos that were kept out.

  python -m benchmarks.real_video --davis=DAVIS --videos=FOLDER --out=runs/real

DAVIS is a folder in the layout of DAVIS-2017 (docs/datasets/davis.md), whose
ImageSets/2017/val.txt names the videos. The videos are split into folds. For
each fold, small models are trained on the videos of the other folds and on
those in FOLDER, and scored by propagating masks through the fold's own videos.
The models are those of configs/rvm_demo.py with what `TRAINED` changes. Each is
trained for as many steps as cost the FLOPs of `REFERENCE`. The models in
`FROZEN` are not trained and are scored on all videos.

If the command is stopped, the same command continues. After each score it
writes the table to --out/table.md: J&F as the mean over videos, differences
paired by video with 95 % intervals, and J&F for each part of the videos with
more than 80 frames. Frames are encoded at 128 x 224 pixels, and the mean of
each frame is subtracted from its features. `rvm_tiny` has patches of 4 x 4
pixels, and all others here patches of 8 x 8; the table in docs/results.md was
made when `rvm_tiny` was a run of configs/rvm_demo.py.
"""

import argparse
from collections.abc import Iterator, Sequence
import csv
import json
import os
import pathlib
import sys

import numpy as np

from benchmarks import training
from configs import eval_davis
from configs import rvm_demo
from rvm_jax.evals import run as evaluation
from rvm_jax.evals.metrics import intervals
from rvm_jax.training import objectives

# Shares of the training samples that come from DAVIS, from FOLDER and from
# generated scenes.
_REAL = (0.75, 0.25, 0.0)
# For each trained model, the settings of configs/rvm_demo.py that it changes,
# and the shares of its samples.
TRAINED: dict[str, tuple[dict[str, int | str], Sequence[float]]] = {
    'recorded video': ({}, _REAL),
    'recorded video and scenes': ({}, (0.375, 0.125, 0.5)),
    'recorded video, 1 source frame': ({'data.num_source': 1}, _REAL),
    'recorded video, attention for core': ({'objective': 'joint'}, _REAL),
}
# The model that is trained for --num_steps steps.
REFERENCE = 'recorded video'
# Checkpoints of the models that are not trained here.
FROZEN = {
    'scenes (rvm_tiny)': 'rvm_tiny',
    'untrained': 'untrained:rvm_tiny',
    'raw pixels': 'raw:8',
}
# Columns of a result that hold the scores of masks that never move.
STAY = {
    'masks that stay': 'stay_j_and_f',
    'masks that stay, on the grid': 'stay_grid_j_and_f',
}
# Parts of a video, in frames, as results name them.
_HORIZONS = ('1_to_16', '17_to_32', '33_to_48', '49_to_64', '65_to_80')


def main(arguments: Sequence[str] | None = None) -> int:
  """Trains and scores all models that are not done; returns the exit code.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.
  """
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--davis', required=True, type=pathlib.Path)
  parser.add_argument('--videos', required=True, type=pathlib.Path)
  parser.add_argument('--out', required=True, type=pathlib.Path)
  parser.add_argument('--num_steps', type=int, default=1600)
  parser.add_argument('--folds', type=int, default=3)
  options = parser.parse_args(arguments)
  folds = split(options.davis, options.out.resolve(), options.folds)
  for name, checkpoint in FROZEN.items():
    score(checkpoint, options.davis, folder(options.out, name))
    report(options.out, options.folds)
  for name in TRAINED:
    for fold in folds:
      workdir = folder(fold, name)
      if not (workdir / 'results').exists():
        train(name, fold, options.videos, workdir, options.num_steps)
        score(os.fspath(workdir), fold / 'DAVIS', workdir / 'results')
      report(options.out, options.folds)
  return 0


def folder(parent: pathlib.Path, name: str) -> pathlib.Path:
  """Returns the folder in `parent` of the model with this name."""
  return parent / ''.join(x if x.isalnum() else '_' for x in name)


def split(
    davis: pathlib.Path, out: pathlib.Path, num_folds: int
) -> list[pathlib.Path]:
  """Writes a folder for each fold with its training data and its test data.

  Args:
    davis: the folder DAVIS.
    out: absolute path of the folder to write to.
    num_folds: number of folds.

  Returns:
    The folder of each fold. It has `DAVIS`, with links to the fold's own
    videos, and `train.csv`, a manifest of the videos of all other folds.
  """
  names = (davis / 'ImageSets/2017/val.txt').read_text().split()
  folds = []
  for i in range(num_folds):
    fold = out / f'fold_{i}'
    own = names[i::num_folds]
    for kind in ('JPEGImages', 'Annotations'):
      frames = fold / 'DAVIS' / kind / '480p'
      frames.mkdir(parents=True, exist_ok=True)
      for name in own:
        if not (frames / name).exists():
          (frames / name).symlink_to(davis.resolve() / kind / '480p' / name)
    listed = fold / 'DAVIS/ImageSets/2017/val.txt'
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text('\n'.join([*own, '']))
    with (fold / 'train.csv').open('w', newline='') as f:
      rows = csv.writer(f)
      rows.writerow(['path'])
      for name in sorted(set(names) - set(own)):
        rows.writerow([davis.resolve() / 'JPEGImages/480p' / name])
    folds.append(fold)
  return folds


def make_config(name: str, fold: pathlib.Path, videos: pathlib.Path):
  """Returns the config of a trained model, except for its number of steps.

  Args:
    name: key of `TRAINED`.
    fold: folder of the fold.
    videos: folder of the further videos.
  """
  changes, shares = TRAINED[name]
  sources = (os.fspath(fold / 'train.csv'), os.fspath(videos), 'scenes')
  used = [(s, share) for s, share in zip(sources, shares) if share]
  config = rvm_demo.get_config()
  config.update_from_flattened_dict(changes)
  config.data.sources, config.data.weights = zip(*used)
  return config


def train(
    name: str,
    fold: pathlib.Path,
    videos: pathlib.Path,
    workdir: pathlib.Path,
    num_steps: int,
):
  """Trains a model, or continues its training.

  Args:
    name: key of `TRAINED`.
    fold: folder of the fold.
    videos: folder of the further videos.
    workdir: folder of the run.
    num_steps: number of steps of the reference.
  """
  config = make_config(name, fold, videos.resolve())
  cost, reference = (
      objectives.from_config(make_config(key, fold, videos)).flops_per_clip
      for key in (name, REFERENCE)
  )
  settings = TRAINED[name][0] | {
      'num_steps': round(num_steps * reference / cost),
      'num_eval_scenes': 0,
      'data.sources': config.data.sources,
      'data.weights': config.data.weights,
  }
  training.train('rvm_demo', workdir, settings)


def score(checkpoint: str, davis: pathlib.Path, out: pathlib.Path):
  """Scores propagated masks, unless there is a result already.

  Args:
    checkpoint: name of the encoder, as for `rvm_jax.evals.run`.
    davis: folder DAVIS with the videos.
    out: folder of the result.
  """
  if out.exists():
    return
  config = eval_davis.get_config()
  config.data_dir = os.fspath(davis)
  config.protocol.height, config.protocol.width = 128, 224
  config.protocol.propagation.center_frames = True
  evaluation.run(checkpoint, os.fspath(out), **config.to_dict())


def report(out: pathlib.Path, num_folds: int):
  """Writes the table of the models that are scored on all videos."""
  places = {name: [folder(out, name)] for name in FROZEN}
  for name in TRAINED:
    places[name] = [
        folder(out / f'fold_{i}', name) / 'results' for i in range(num_folds)
    ]
  found = {
      name: [read(path) for path in paths]
      for name, paths in places.items()
      if all(path.exists() for path in paths)
  }
  (out / 'table.md').write_text('\n'.join([*lines(found), '']))


def read(path: pathlib.Path) -> tuple[dict, list[dict[str, str]]]:
  """Returns the scores and the rows of the result in a folder."""
  with (path / 'rows.csv').open(newline='') as f:
    rows = list(csv.DictReader(f))
  return json.loads((path / 'result.json').read_text())['scores'], rows


def lines(found: dict[str, list[tuple[dict, list]]]) -> Iterator[str]:
  """Yields the lines of the table.

  Args:
    found: for each model, pairs of the scores and the rows of its folds.
  """
  # By model, the J&F of each video; all models have the same videos.
  scores = {name: _column(folds, 'j_and_f') for name, folds in found.items()}
  some = next(iter(found.values()))
  scores |= {name: _column(some, column) for name, column in STAY.items()}
  parts = {name: _horizons(folds, '') for name, folds in found.items()}
  parts |= {
      name: _horizons(some, column.removesuffix('j_and_f'))
      for name, column in STAY.items()
  }
  heads = ['features', 'J&F', *(f'minus {name}' for name in scores)]
  yield _row(heads)
  yield _row(['---'] * len(heads))
  for name, values in scores.items():
    yield _row(
        [name, f'{intervals.mean(values):.1f}']
        + [
            _gain(other, values) if key != name else ''
            for key, other in scores.items()
        ]
    )
  yield ''
  yield _row(
      ['features', *(f'frames {x.replace("_", " ")}' for x in _HORIZONS)]
  )
  yield _row(['---'] * (1 + len(_HORIZONS)))
  for name, values in parts.items():
    yield _row([name, *(f'{x:.1f}' for x in values)])


def _column(folds, name):
  """Returns a column of the rows of all folds, sorted by video and object."""
  rows = [row for _, rows in folds for row in rows]
  rows.sort(key=lambda row: (row['video'], row['object']))
  return np.array([float(row[name]) for row in rows])


def _horizons(folds, prefix):
  """Returns J&F for each part of `_HORIZONS`, as the mean over long videos."""
  # Only results on long videos have scores of the parts.
  found = [scores for scores, _ in folds if scores['num_long_videos']]
  return [
      np.average(
          [scores[f'{prefix}j_and_f_{part}'] for scores in found],
          weights=[scores['num_long_videos'] for scores in found],
      )
      for part in _HORIZONS
  ]


def _gain(first, second):
  """Returns the mean of the second scores minus the first, with an interval."""
  gain, low, high = intervals.difference(first, second)
  return f'{gain:+.1f} ({low:+.1f} to {high:+.1f})'


def _row(cells):
  """Returns a row of a Markdown table."""
  return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
  sys.exit(main())
