"""Configs and checks that the tests of benchmarks with a readout share."""

import csv
import importlib
import json
import pathlib
from typing import Any

import jax
import ml_collections
import numpy as np
from PIL import Image
import pytest

SMALL_HEADS = {
    'clips': dict(num_params=8, num_heads=2),
    'ssv2': dict(num_params=8, num_heads=2),
    'kinetics': dict(num_params=8, num_heads=2),
    'perception_test': dict(
        num_params=8, num_heads=2, query_width=8, num_bases=2
    ),
    'waymo': dict(num_params=8, num_heads=2, query_width=8, num_bases=2),
    'scannet': dict(
        num_params=8, num_heads=2, patch=(2, 16, 16), query_chunk=None
    ),
}


def load_config(name: str) -> ml_collections.ConfigDict:
  """Returns the shipped config of a benchmark."""
  return importlib.import_module(f'configs.eval_{name}').get_config()


def shrink_config(name: str) -> ml_collections.ConfigDict:
  """Returns the shipped config with four small frames and three steps."""
  config = load_config(name)
  protocol = config.protocol
  protocol.sampling.update(num_frames=4, height=32, width=32)
  protocol.head.update(SMALL_HEADS[name])
  protocol.features.dtype = 'float32'
  protocol.training.update(
      num_steps=3,
      batch_size=2,
      warmup_steps=1,
      learning_rates=(1e-3,),
      log_every=1,
  )
  return config


def load(out: pathlib.Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
  """Returns `result.json` and the rows of `rows.csv` of a result folder."""
  result = json.loads((out / 'result.json').read_text())
  with open(out / 'rows.csv', newline='') as f:
    return result, list(csv.DictReader(f))


def check_result(out: pathlib.Path, title: str, num_rows: int, num_files: int):
  """Checks the result folder of a whole run on a small data set."""
  result, rows = load(out)
  assert result['task'] == title
  assert np.isfinite(result['scores'][result['headline']])
  assert result['data']['num_files'] == num_files
  assert len(rows) == num_rows
  pictures = list(out.glob('picture_*.png'))
  assert len(pictures) == min(4, num_rows)
  for path in pictures:
    assert np.asarray(Image.open(path)).std() > 10


def check_head(
    settings: dict[str, Any], num_params: int, tolerance: float = 0.02
):
  """Checks that a shipped head fits the examples of its benchmark.

  Args:
    settings: arguments of `scoring.evaluate`, as `predict_with` returns them.
    num_params: number of parameters of the head on features 1024 wide.
    tolerance: allowed relative error of that number.
  """
  example = settings['train'][0].read(np.random.default_rng(0))
  assert example.pop('frames').shape == (16, 224, 224, 3)
  batch = {
      key: jax.ShapeDtypeStruct((2, *np.shape(x)), np.asarray(x).dtype)
      for key, x in example.items()
  }
  features = jax.ShapeDtypeStruct((2, 16, 196, 1024), np.float32)
  head = settings['head']
  params = jax.eval_shape(head.init, jax.random.key(0), features, batch)
  counted = sum(x.size for x in jax.tree.leaves(params))
  assert counted == pytest.approx(num_params, rel=tolerance)
  outputs = jax.eval_shape(head.apply, params, features, batch)
  assert jax.eval_shape(head.loss, outputs, batch).shape == (2,)
  for key, x in jax.eval_shape(head.decode, outputs, batch).items():
    assert key == 'probabilities' or x.shape == batch[key].shape
