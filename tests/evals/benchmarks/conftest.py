"""Fixtures that run benchmarks with a readout on small data sets."""

import jax
import pytest

from rvm_jax.evals import run as run_lib
from rvm_jax.evals.fitting import scoring
from tests.evals.benchmarks import readouts


@pytest.fixture
def fast_compile():
  """Compiles without most optimisations, because compiling is then faster."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture
def run_benchmark(video_set, tmp_path):
  """Returns a function that runs a benchmark on its small data set.

  The function takes the benchmark's name and a config, by default that of
  `readouts.shrink_config`, and returns the result folder.
  """

  def run(name, config=None):
    config = config or readouts.shrink_config(name)
    config.data_dir = str(tmp_path / name)
    if not (tmp_path / name).exists():
      video_set(name)
    out = tmp_path / f'results_{len(list(tmp_path.iterdir()))}'
    run_lib.run('raw:16', str(out), str(tmp_path / 'work'), **config.to_dict())
    return out

  return run


@pytest.fixture
def predict_with(monkeypatch):
  """Returns a function that replaces the fitted head in later benchmarks.

  The function takes another function, example -> prediction, and calls it in
  place of the head. It returns a dict, which a later run fills with the
  arguments of `scoring.evaluate`.
  """

  def replace(predict):
    settings = {}

    def evaluate(model, head, train, test, metric, **others):
      settings.update(others, head=head, train=train, test=test)
      rows, shown = [], []
      for record in test:
        example = record.read(None)
        prediction = predict(example)
        ground_truth = {k: v for k, v in example.items() if k != 'frames'}
        rows.append(metric.score(record, ground_truth, prediction))
        shown.append(scoring.Shown(record, example, prediction))
      return scoring.Result(metric.summarise(rows), rows, shown[:2], ['fitted'])

    monkeypatch.setattr(scoring, 'evaluate', evaluate)
    return settings

  return replace
