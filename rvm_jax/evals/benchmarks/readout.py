"""What the benchmarks with a readout share: features, a head fitted, its score.

A benchmark brings records, a head and a metric; what it gets back goes into its
report. In the workdir there are

  features/train.zarr  what the encoder says about the examples, where it is
  features/test.zarr   kept, see `readouts.store`
  NAME/RATE/           checkpoints and events of the head at a learning rate

and the same call goes on from whatever is there.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from flax import linen as nn
import numpy as np

from rvm_jax.evals import features as features_lib
from rvm_jax.evals.readouts import examples as examples_lib

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
    learning_rate: the best.
    params: of the head.
  """

  scores: Mapping[str, float]
  rows: Sequence[Mapping[str, Any]]
  shown: Sequence[Shown]
  notes: Sequence[str]
  learning_rate: float
  params: Mapping[str, Any]


def evaluate(
    model: features_lib.Model,
    head: nn.Module,
    train: Sequence[examples_lib.Record],
    test: Sequence[examples_lib.Record],
    metric: Metric,
    *,
    name: str,
    workdir: str,
    examples: Mapping[str, Any],
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
    examples: settings that decide what is in the examples: features of others
      are refused.
    features: `is_kept`, `dtype`, `num_workers`, `max_bad_share`, as in
      configs/readouts.py.
    training: see `fit.fit` and configs/readouts.py.

  Raises:
    ValueError: the workdir is of another encoder, other examples or another
      head; too many examples cannot be read; settings that do not fit together.
  """
  raise NotImplementedError
