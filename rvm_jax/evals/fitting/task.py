"""A benchmark that fits a readout to a labelled video set, written as data.

A `Task` says what is particular to a benchmark: the reader of its data set, the
head, the metric and the picture. `Task.evaluate` does what all of them share:
it reads both splits, fits the head to the encoder's features of one, scores it
on the other, and assembles the report.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

from flax import linen as nn
import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import scoring

Records = Sequence[examples_lib.ExampleRecord]
Rows = Sequence[Mapping[str, Any]]
_SAMPLING_FIELDS = frozenset(
    field.name for field in dataclasses.fields(sampling_lib.Sampling)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """A labelled video set, a head for it, and how the head is scored.

  Attributes:
    title: the benchmark's column in a table, such as 'SSv2 top-1'.
    name: folder in the working directory for the head's checkpoints.
    read: function (data_dir, split, sampling, **settings) -> (records, notes)
      that lists the examples of a split without reading them. `sampling` is a
      `Sampling`; notes are sentences on what is left out.
    splits: names of the training split and of the test split, as `read` takes
      them.
    head: function (record, **settings) -> head. `record` is a training record,
      for sizes that follow from the data; `settings` come from the config.
    metric: how predictions are scored.
    draw: function (record, example, prediction) -> picture of a test example,
      uint8 [height, width, 3]. Its arguments are the fields of `scoring.Shown`.
    tabulate: function that turns the rows of `metric.score` into the rows of
      the report; by default they are the same.
    note: function record -> sentences on the data set as a whole, for the
      report; by default there are none.
  """

  title: str
  name: str
  read: Callable[..., tuple[Records, list[str]]]
  splits: tuple[str, str]
  head: Callable[..., nn.Module]
  metric: scoring.Metric
  draw: Callable[
      [examples_lib.ExampleRecord, scoring.Arrays, scoring.Arrays], np.ndarray
  ]
  tabulate: Callable[[Rows], Rows] = list
  note: Callable[[examples_lib.ExampleRecord], Sequence[str]] | None = None

  def evaluate(
      self,
      model: encoder_lib.FrozenEncoder,
      data_dir: str,
      *,
      workdir: str,
      sampling: Mapping[str, Any],
      train: Mapping[str, Any],
      test: Mapping[str, Any],
      head: Mapping[str, Any],
      features: Mapping[str, Any],
      training: Mapping[str, Any],
  ) -> report.Report:
    """Fits the head to the training split and scores it on the test split.

    Args:
      model: the frozen encoder.
      data_dir: folder of the data set, laid out as its reader describes.
      workdir: folder for features and checkpoints; the same call in the same
        folder continues from what is there.
      sampling: fields of `Sampling` that both splits share.
      train: further fields of `Sampling`, and settings of the reader, for the
        training split.
      test: the same for the test split.
      head: settings of the head.
      features: how features reach the head, described in configs/readouts.py.
      training: how the head is fitted, described in configs/readouts.py.

    Returns:
      The report.

    Raises:
      FileNotFoundError: a file or folder of the data set is missing.
      ImportError: the reader needs a package that is not installed.
      TypeError: a setting is unknown; the message names it.
      ValueError: files are broken, settings contradict each other, or the
        working directory belongs to something else.
      RuntimeError: too many examples cannot be read.
      NonFiniteError: the loss is not finite at any learning rate.
    """
    splits = read_splits(
        self.read, data_dir, self.splits, sampling, train, test
    )
    result = scoring.evaluate(
        model,
        self.head(splits.train[0], **head),
        splits.train,
        splits.test,
        self.metric,
        name=self.name,
        workdir=workdir,
        examples=splits.settings,
        features=features,
        training=training,
    )
    notes = self.note(splits.train[0]) if self.note else ()
    return report.Report(
        task=self.title,
        headline=self.metric.headline,
        scores=result.scores,
        rows=self.tabulate(result.rows),
        pictures={
            shown.record.name.replace('/', '_'): self.draw(
                shown.record, shown.example, shown.prediction
            )
            for shown in result.shown
        },
        files=splits.files,
        notes=[*splits.notes, *notes, *result.notes],
        lower_is_better=self.metric.lower_is_better,
    )


class Splits(NamedTuple):
  """The records of a data set.

  Attributes:
    train: records of the training examples, one at least.
    test: records of the test examples, one at least.
    files: paths of the files that the examples are read from.
    notes: sentences on what is left out, for the report.
    settings: under 'train' and 'test', the settings that decide what those
      examples contain.
  """

  train: Records
  test: Records
  files: Sequence[str]
  notes: Sequence[str]
  settings: Mapping[str, Any]


def read_splits(
    read: Callable[..., tuple[Records, list[str]]],
    data_dir: str,
    names: tuple[str, str],
    sampling: Mapping[str, Any],
    train: Mapping[str, Any],
    test: Mapping[str, Any],
) -> Splits:
  """Lists the examples to fit a head to and those to score it on.

  Args:
    read: reader of the data set, see `Task.read`.
    data_dir: folder of the data set.
    names: names of the training split and of the test split.
    sampling: fields of `Sampling` that both splits share.
    train: further fields of `Sampling`, and settings of the reader, for the
      training split.
    test: the same for the test split.

  Raises:
    TypeError: neither `Sampling` nor the reader has a setting of that name.
    ValueError: a split has no examples.
    Further errors of the reader.
  """
  lists, notes, settings = [], [], {}
  for name, part, own in zip(names, ('train', 'test'), (train, test)):
    fields = {key: own[key] for key in own if key in _SAMPLING_FIELDS}
    rest = {key: own[key] for key in own if key not in _SAMPLING_FIELDS}
    records, found = read(
        data_dir, name, sampling_lib.Sampling(**sampling, **fields), **rest
    )
    if not records:
      raise ValueError(f'{data_dir}: the split {name} has no examples')
    lists.append(records)
    notes += [f'{name}: {note}' for note in found]
    # The share of bad videos does not decide what an example contains: which
    # videos were left out shows in the names of the records.
    deciding = {key: own[key] for key in own if key != 'max_bad_share'}
    settings[part] = {'sampling': sampling, part: deciding}
  # A dict keeps the order of the files and drops repeated ones.
  files = dict.fromkeys(p for part in lists for r in part for p in r.files)
  return Splits(*lists, list(files), notes, settings)
