"""What the benchmarks with a readout share: features, a head fitted, its score.

A benchmark brings records, a head and a metric; what it gets back goes into its
report. In the workdir there are

  features/train.zarr  what the encoder says about the examples, where it is
  features/test.zarr   kept, see `fitting.feature_store`
  NAME/RATE/           checkpoints and events of the head at a learning rate

and the same call goes on from whatever is there.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
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
from rvm_jax.evals.propagation import pictures
from rvm_jax.training import loop

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Metric:
  """How predictions are scored.

  Attributes:
    score: (record, truth, predicted) -> row, of one test example. `truth` is
      the example without its frames; `predicted` is what the head's `decode`
      gives, without the batch axis. A row holds whatever `summarise` needs.
    summarise: rows -> scores by name, of the whole test set; rows are in the
      order of the records.
    headline: the score by which the learning rate is chosen.
    lower_is_better: of the headline.
  """

  score: Callable[[examples_lib.Record, Arrays, Arrays], dict[str, Any]]
  summarise: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, float]]
  headline: str
  lower_is_better: bool = False


@dataclasses.dataclass(frozen=True)
class Shown:
  """A test example for a picture.

  Attributes:
    name: of its record.
    example: with its frames.
    predicted: what the head's `decode` gives, without the batch axis.
  """

  name: str
  example: Arrays
  predicted: Arrays


@dataclasses.dataclass(frozen=True)
class Result:
  """What a readout is worth.

  Attributes:
    scores: of `Metric.summarise`, at the best learning rate.
    rows: of `Metric.score`, in the order of the test records.
    shown: a few test examples.
    notes: learning rates and their scores, and examples left out.
  """

  scores: Mapping[str, float]
  rows: Sequence[Mapping[str, Any]]
  shown: Sequence[Shown]
  notes: Sequence[str]


def evaluate(
    model: encoder_lib.FrozenEncoder,
    head: nn.Module,
    train: Sequence[examples_lib.Record],
    test: Sequence[examples_lib.Record],
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
  best headline on the test examples is reported, as in 4DS: a choice on the
  test set.

  Args:
    model: the encoder.
    head: a linen module, see `readouts`.
    train: to fit it to.
    test: to score it on.
    metric: how.
    name: of the head's folder in the workdir. Heads for one and the same
      examples may share a workdir and with it the features.
    workdir: for features and checkpoints; the same call goes on in it.
    examples: 'train' and 'test', settings that decide what is in these
      examples: features of others are refused, and so is a head that was fitted
      to others.
    features: `is_kept`, `dtype`, `num_workers`, `max_bad_share`, as in
      configs/readouts.py.
    training: `learning_rates`, `is_augmented`, and arguments of `fit.fit`, as
      in configs/readouts.py.

  Raises:
    ValueError: the workdir is of another encoder, other examples or another
      head; or settings that do not fit together.
    RuntimeError: too many examples cannot be read.
    NonFiniteError: at every learning rate.
  """
  _check(train, test, features, training)
  open_ = data_lib.keep if features['is_kept'] else data_lib.stream
  data = open_(
      model, train, test, workdir, examples, features, training, head.truths
  )
  settings = {
      key: value
      for key, value in training.items()
      if key not in ('learning_rates', 'is_augmented')
  }
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
  best, headlines = None, dict.fromkeys(rates, math.nan)
  # Of all at once: the test examples are encoded but once.
  found = _predict(head, fitted, data.test, test, metric)
  for rate, (rows, shown) in found.items():
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


def _predict(head, fitted, batches, records, metric):
  """For each of `fitted` its rows, and a few test examples to be shown."""
  chosen = pictures.choose_shown(len(records))
  found = {key: ([], []) for key in fitted}
  for truth, answers in fit_lib.predict(head, fitted.values(), batches):
    number = int(truth.pop('number'))
    record = records[number]
    example = record.read(None) if number in chosen else None
    for (rows, shown), predicted in zip(found.values(), answers, strict=True):
      rows.append(metric.score(record, truth, predicted))
      if example is not None:
        shown.append(Shown(record.name, example, predicted))
  return found


def _is_better(metric, scores, others):
  score, other = scores[metric.headline], others[metric.headline]
  if math.isnan(other):
    return True
  return score < other if metric.lower_is_better else score > other
