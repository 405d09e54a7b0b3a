"""Fits a head with each of several learning rates and scores the best one.

The working directory holds:

  features/train.zarr  features of the training examples
  features/test.zarr   features of the test examples
  NAME/RATE/           checkpoints and events of the head NAME, fitted with the
                       learning rate RATE

The first two are stores (`fitting.feature_store`), which exist only if features
are kept on disk. If a call was interrupted, the same call with the same working
directory continues from what is there.
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
from rvm_jax.training import health

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Metric:
  """How predictions are scored.

  Attributes:
    score: function (record, ground_truth, prediction) -> row that scores one
      test example. `ground_truth` holds the example's arrays except its frames;
      `prediction` holds the arrays that the head's `decode` returns for the
      example, without the batch axis. The row is a dict of the values that
      `summarise` needs.
    summarise: function rows -> {name: score} that scores the whole test set.
      The rows are in the order of the records.
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
    prediction: the arrays that the head's `decode` returns for the example,
      without the batch axis.
  """

  record: examples_lib.ExampleRecord
  example: Arrays
  prediction: Arrays


@dataclasses.dataclass(frozen=True)
class Result:
  """The scores of a head that was fitted with the best learning rate.

  Attributes:
    scores: scores of the test set by name, as returned by `Metric.summarise`.
    rows: rows of the test examples that could be read, as returned by
      `Metric.score`, in the order of the records.
    shown: a few test examples, evenly spaced in the test set, without those
      that could not be read.
    notes: sentences on the examples that could not be read, and on the
      headlines of all learning rates if there are several.
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
  """Fits a head to the features of a frozen encoder and scores it.

  If several learning rates are given, a head is fitted with each of them, and
  the one with the best headline score on the test examples is reported. As in
  4DS (arXiv 2412.15212), the learning rate is thus chosen on the test set; a
  note says so.

  Args:
    model: the frozen encoder.
    head: a linen module as described in `rvm_jax.evals.heads`.
    train: records of the examples that the head is fitted to.
    test: records of the examples that the head is scored on.
    metric: how predictions are scored.
    name: name of the folder in the working directory that holds the head's
      checkpoints. Several heads for the same examples can share a working
      directory and so its features, if their names differ.
    workdir: folder for features and checkpoints.
    examples: under the keys 'train' and 'test', the settings that determine
      what the examples of that split contain. They are saved with features and
      checkpoints, which are refused if the settings differ.
    features: the settings `is_kept`, `dtype`, `num_workers` and
      `max_bad_share`, described in configs/readouts.py.
    training: the settings `learning_rates` and `is_augmented`, and arguments of
      `fit.fit`, described in configs/readouts.py.

  Returns:
    The result.

  Raises:
    ValueError: the working directory holds features or checkpoints of another
      encoder, of other examples or of another head; or settings contradict each
      other.
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

  # Fit the head with each learning rate. Rates with a loss that is not finite
  # are left out of `fitted`. If none remains, the last rate's error is raised.
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
    except health.NonFiniteError as error:
      if not fitted and rate == rates[-1]:
        raise
      logging.warning('The learning rate %g is given up: %s', rate, error)

  # Score each fitted head, and keep the result of the best. `headlines` holds
  # the headline score of each rate for the note; NaN if it was given up.
  best, headlines = None, dict.fromkeys(rates, math.nan)
  for rate, (rows, shown) in _predict(
      head, fitted, data.test, test, metric
  ).items():
    scores = metric.summarise(rows)
    headlines[rate] = scores[metric.headline]
    logging.info('%s, learning rate %g: %s', name, rate, dict(scores))
    if best is None or _is_better(metric, scores, best.scores):
      best = Result(scores, rows, shown, ())

  # Say which examples were left out, and how the learning rate was chosen.
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
  """Checks examples and settings before anything is computed.

  Raises:
    ValueError: there are no examples, two of them have the same name, or
      settings contradict each other.
  """
  for part, records in (('training', train), ('test', test)):
    if not records:
      raise ValueError(f'there must be {part} examples, got none')
    names = collections.Counter(record.name for record in records)
    ((most, count),) = names.most_common(1)
    if count > 1:
      raise ValueError(f'{count} {part} examples have the name {most}')
  if features['is_kept'] and training['is_augmented']:
    raise ValueError(
        'training.is_augmented=True needs features.is_kept=False: augmented'
        ' examples differ in each epoch, so their features cannot be kept'
    )
  if not training['learning_rates']:
    raise ValueError(
        'training.learning_rates must have at least one value, got none'
    )


def _predict(
    head: nn.Module,
    fitted: Mapping[float, Any],
    batches: Iterable[Arrays],
    records: Sequence[examples_lib.ExampleRecord],
    metric: Metric,
) -> dict[float, tuple[list[dict[str, Any]], list[Shown]]]:
  """Predicts and scores all test examples with each set of parameters.

  The test examples are iterated over only once, so that they are encoded once.

  Args:
    head: the head.
    fitted: the fitted parameters, by learning rate.
    batches: batches of test examples.
    records: records of the test examples.
    metric: how predictions are scored.

  Returns:
    For each learning rate, the rows of all test examples and those that are
    shown.
  """
  chosen = pictures_lib.choose_shown(len(records))
  results = {rate: ([], []) for rate in fitted}
  for ground_truth, predictions in fit_lib.predict(
      head, fitted.values(), batches
  ):
    number = int(ground_truth.pop('number'))
    record = records[number]
    # Batches have features in place of frames, so that an example to show is
    # read again.
    example = record.read(None) if number in chosen else None
    for (rows, shown), prediction in zip(
        results.values(), predictions, strict=True
    ):
      rows.append(metric.score(record, ground_truth, prediction))
      if example is not None:
        shown.append(Shown(record, example, prediction))
  return results


def _is_better(metric, scores, others):
  """Returns whether `scores` have a better headline score than `others`."""
  score, other = scores[metric.headline], others[metric.headline]
  # NaN is worse than any score. If only `score` is NaN, comparing gives False.
  if math.isnan(other):
    return True
  return score < other if metric.lower_is_better else score > other
