"""Fits a head at each learning rate and scores it on the test examples.

The best learning rate is reported. The working directory holds:

  features/train.zarr  features of the training examples and
  features/test.zarr   of the test examples, where they are kept on disk
                       (`fitting.feature_store`)
  NAME/RATE/           checkpoints and events of the head NAME, fitted with the
                       learning rate RATE

The same call in the same working directory continues from what is there.
"""

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import math
import os
from typing import Any

from absl import logging
from flax import linen as nn
import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import data as data_lib
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import fit as fit_lib
from rvm_jax.evals.propagation import pictures as pictures_lib
from rvm_jax.training import loop

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Metric:
  """How predictions are scored.

  Attributes:
    score: function (record, ground_truth, prediction) -> row that scores one
      test example. `ground_truth` holds the example's arrays without its
      frames; `prediction` holds what the head's `decode` returns for the
      example, without the batch axis. A row holds whatever `summarise` needs.
    summarise: function rows -> {name: score} that scores the whole test set.
      Rows come in the order of the records.
    headline: name of the score by which the learning rate is chosen.
    lower_is_better: whether a lower headline is better; by default a higher
      one is.
  """

  score: Callable[[examples_lib.ExampleRecord, Arrays, Arrays], dict[str, Any]]
  summarise: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, float]]
  headline: str
  lower_is_better: bool = False


@dataclasses.dataclass(frozen=True)
class Shown:
  """A test example that gets a picture.

  Attributes:
    record: the record that the example was read from.
    example: the example's arrays, frames included.
    prediction: what the head's `decode` returns for the example, without the
      batch axis.
  """

  record: examples_lib.ExampleRecord
  example: Arrays
  prediction: Arrays


@dataclasses.dataclass(frozen=True)
class Result:
  """Scores of a head at its best learning rate.

  Attributes:
    scores: what `Metric.summarise` returned.
    rows: what `Metric.score` returned for each test record, in their order.
    shown: a few test examples, spread evenly over the test set.
    notes: sentences on the examples that were left out, and on the score of
      every learning rate where there are several.
  """

  scores: Mapping[str, float]
  rows: Sequence[Mapping[str, Any]]
  shown: Sequence[Shown]
  notes: Sequence[str]


def evaluate(
    model: encoder_lib.FrozenEncoder,
    head: nn.Module,
    train: Sequence[examples_lib.ExampleRecord],
    test: Sequence[examples_lib.ExampleRecord],
    metric: Metric,
    *,
    name: str,
    workdir: str,
    examples: Mapping[str, Mapping[str, Any]],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
) -> Result:
  """Fits a head to the features of a frozen encoder, and scores it.

  Where several learning rates are given, each is fitted, and the one with the
  best headline on the test examples is reported, as in 4DS: the test set makes
  the choice, and a note says so.

  Args:
    model: the frozen encoder.
    head: a linen module that keeps to the contract of `rvm_jax.evals.heads`.
    train: records of the examples that the head is fitted to.
    test: records of the examples that the head is scored on.
    metric: how predictions are scored.
    name: folder in the working directory for the head's checkpoints. Heads for
      the same examples may share a working directory, and with it the features.
    workdir: folder for features and checkpoints.
    examples: under 'train' and 'test', the settings that decide what those
      examples contain. Features of other examples are refused, and so is a
      head that was fitted to other examples.
    features: the settings `is_kept`, `dtype`, `num_workers` and
      `max_bad_share`, described in configs/readouts.py.
    training: the settings `learning_rates` and `is_augmented`, and arguments of
      `fit.fit`, described in configs/readouts.py.

  Raises:
    ValueError: the working directory belongs to another encoder, other examples
      or another head; or settings contradict each other.
    RuntimeError: too many examples cannot be read.
    NonFiniteError: the loss is not finite at any learning rate.
  """
  _check(train, test, features, training)
  data = data_lib.prepare(
      model,
      train,
      test,
      workdir,
      examples=examples,
      features=features,
      training=training,
      names=head.ground_truth_keys,
  )
  settings = {
      key: value
      for key, value in training.items()
      if key not in ('learning_rates', 'is_augmented')
  }
  # Parameters by learning rate, without those whose loss is not finite.
  rates = training['learning_rates']
  fitted = {}
  for rate in rates:
    try:
      fitted[rate] = fit_lib.fit(
          head,
          data.stream,
          os.path.join(workdir, name, f'{rate:g}'),
          data.identity,
          learning_rate=rate,
          max_bad_share=features['max_bad_share'],
          **settings,
      )
    except loop.NonFiniteError as error:
      if not fitted and rate == rates[-1]:
        raise
      logging.warning('The learning rate %g is given up: %s', rate, error)
  # The best learning rate, and the headline of each for the notes.
  best, headlines = None, dict.fromkeys(rates, math.nan)
  for rate, (rows, shown) in _predict(
      head, fitted, data.test, test, metric
  ).items():
    scores = metric.summarise(rows)
    headlines[rate] = scores[metric.headline]
    logging.info('%s, learning rate %g: %s', name, rate, dict(scores))
    if best is None or _is_better(metric, scores, best.scores):
      best = Result(scores, rows, shown, ())
  notes = [
      f'{len(names)} {part} examples could not be read and are left out:'
      f' {", ".join(names[:5])}{", ..." * (len(names) > 5)}'
      for part, names in data.list_skipped().items()
      if names
  ]
  if len(rates) > 1:
    notes.append(
        f'the learning rate was chosen on the test examples, by'
        f' {metric.headline}: '
        + ', '.join(f'{score:.4g} at {r:g}' for r, score in headlines.items())
    )
  return dataclasses.replace(best, notes=notes)


def _check(train, test, features, training):
  for part, records in (('training', train), ('test', test)):
    if not records:
      raise ValueError(f'there must be {part} examples, got none')
    names = collections.Counter(record.name for record in records)
    ((most, count),) = names.most_common(1)
    if count > 1:
      raise ValueError(f'{count} {part} examples have the name {most}')
  if features['is_kept'] and training['is_augmented']:
    raise ValueError(
        'training.is_augmented=True needs features.is_kept=False: features of'
        ' examples that are new each time cannot be kept'
    )
  if not training['learning_rates']:
    raise ValueError('training.learning_rates must name one at least')


def _predict(
    head: nn.Module,
    fitted: Mapping[float, Any],
    batches: Iterable[Arrays],
    records: Sequence[examples_lib.ExampleRecord],
    metric: Metric,
) -> dict[float, tuple[list[dict[str, Any]], list[Shown]]]:
  """Returns rows and shown examples by learning rate.

  All learning rates are scored in one pass, so that the test examples are
  encoded only once.
  """
  chosen = pictures_lib.choose_shown(len(records))
  results = {rate: ([], []) for rate in fitted}
  for ground_truth, predictions in fit_lib.predict(
      head, fitted.values(), batches
  ):
    number = int(ground_truth.pop('number'))
    record = records[number]
    # Batches have no frames any more: a shown example is read once more.
    example = record.read(None) if number in chosen else None
    for (rows, shown), prediction in zip(
        results.values(), predictions, strict=True
    ):
      rows.append(metric.score(record, ground_truth, prediction))
      if example is not None:
        shown.append(Shown(record, example, prediction))
  return results


def _is_better(metric, scores, others):
  score, other = scores[metric.headline], others[metric.headline]
  # Any score is better than none; comparisons with NaN are False.
  if math.isnan(other):
    return True
  return score < other if metric.lower_is_better else score > other
