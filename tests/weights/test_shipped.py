"""Shipped checkpoints are found by name, packaged, and as their cards say."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import pytest

import rvm_jax
from rvm_jax import weights
from rvm_jax.evals.encoders import loading
from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import demo
from rvm_jax.evals.scenes import masks
from rvm_jax.features import __main__ as features
from rvm_jax.models import rvm
from rvm_jax.weights import released
from rvm_jax.weights import shipped
from rvm_jax.weights import trees

ROOT = pathlib.Path(__file__).parents[2]
# No checkpoint in the package may be larger, in bytes.
MAX_SIZE = 5_000_000


@pytest.fixture(params=shipped.list_names(), scope='module')
def name(request):
  return request.param


@pytest.fixture(scope='module')
def loaded(name):
  """The model and its parameters."""
  return weights.load(name)


def read_scores(name):
  return json.loads((shipped.FOLDER / f'{name}.json').read_text())


def read_card(name):
  return (shipped.FOLDER / f'{name}.md').read_text()


def test_load_finds_a_checkpoint_by_its_name_in_every_folder(
    name, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  encoder = rvm_jax.load(name)
  assert trees.fingerprint(encoder.params) == read_scores(name)['fingerprint']
  assert encoder.model.decoder_layers


def test_runs_and_stores_of_features_take_the_name(name, loaded):
  model, params = loaded
  initial = weights.read_initial(
      name, released.shapes(model), fresh_decoder=False
  )
  assert trees.fingerprint(initial) == trees.fingerprint(params)
  # A store of features gets the path of the file as an attribute.
  _, path = features._load(name)
  assert path == str(shipped.FOLDER / f'{name}.safetensors')


@pytest.mark.parametrize('make', [pathlib.Path.touch, pathlib.Path.mkdir])
def test_a_path_that_exists_takes_precedence_with_a_warning(
    name, tmp_path, monkeypatch, warnings, make
):
  monkeypatch.chdir(tmp_path)
  make(pathlib.Path(name))
  assert shipped.locate(name) == name
  (warning,) = warnings
  assert warning.startswith(f'{name}: the file or folder in the current')
  # The same path in other words names no checkpoint of the package.
  assert shipped.locate(f'./{name}') == f'./{name}' and len(warnings) == 1


def test_a_misspelt_name_is_refused_with_the_names_that_there_are():
  with pytest.raises(FileNotFoundError) as raised:
    rvm_jax.load('rvm_tinny')
  assert str(raised.value) == (
      "No such file or directory: 'rvm_tinny', and the package has no"
      ' checkpoint of this name: it has rvm_tiny'
  )


@pytest.mark.parametrize('path', ['gs://bucket/rvm_tiny', 'gs://rvm_tiny'])
def test_locate_leaves_urls_as_they_are(path):
  assert shipped.locate(path) == path


def test_wheels_and_sdists_contain_the_files(name, tmp_path):
  # This builds what a wheel contains; sdists contain the same data files.
  command = 'setup.py', '--quiet', 'build_py', '--build-lib', str(tmp_path)
  subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
  for suffix in 'safetensors', 'md', 'json':
    path = shipped.FOLDER / f'{name}.{suffix}'
    built = tmp_path / path.relative_to(ROOT)
    assert built.read_bytes() == path.read_bytes()
    assert os.path.getsize(path) <= MAX_SIZE


def test_scores_of_the_card_are_reproduced(name):
  # The scenes and settings of `make demo`. One grey level or the last bit of a
  # float may differ between machines, which changes a score by about 1e-5.
  scenes = demo.generate_scenes(seed=0, size=64)
  encoder, known = loading.load(name), read_scores(name)
  assert encoder.identity == known['fingerprint']
  found = masks.evaluate(encoder, scenes, demo.PROPAGATION)
  for key, score in known['masks'].items():
    assert found[key] == pytest.approx(score, abs=1e-3), key


def test_card_has_the_scores_and_the_file(name, loaded):
  card, known = read_card(name), read_scores(name)
  texts = {task.name: task.text for task in benchmark.TASKS}
  assert known['scenes'].keys() == texts.keys()
  rows = [
      ('region overlap J', f'{known["masks"]["j"]:.3f}'),
      ('J&F', f'{known["masks"]["j_and_f"]:.3f}'),
  ]
  rows += [(texts[key], f'{x:.1f}') for key, x in known['scenes'].items()]
  for text, score in rows:
    pattern = rf'^\| {re.escape(text)}[^|]* \| {score} \|'
    assert re.search(pattern, card, re.M), (text, score)
  assert f'fingerprint `{known["fingerprint"]}`' in card
  size = os.path.getsize(shipped.FOLDER / f'{name}.safetensors')
  assert f', {size / 1e6:.1f} MB, ' in card
  _, params = loaded
  count = sum(array.size for array in jax.tree.leaves(params))
  assert f'| {count / 1e6:.2f} million in float32' in card


def test_config_of_the_card_has_the_sizes_of_the_file(name, loaded):
  (config,) = re.findall(r'--config=configs/(rvm_\w+)\.py', read_card(name))
  config = importlib.import_module(f'configs.{config}').get_config()
  _, params = loaded
  trees.check_match(
      name,
      trees.flatten(params),
      trees.flatten(released.shapes(rvm.RVM(**config.model))),
  )
