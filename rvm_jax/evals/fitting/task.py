"""Describes a benchmark that fits a readout head to a labelled video data set.

The fields of a `Task` are the parts in which such benchmarks differ: the reader
of the data set, the head, the metric and the picture. `Task.evaluate` takes the
steps that they share: it lists the examples of both splits, fits the head to
the encoder's features of the training split, scores it on the test split, and
assembles the report.
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
# Names of the settings that belong to `Sampling`; others belong to the reader.
_SAMPLING_FIELDS = frozenset(
    field.name for field in dataclasses.fields(sampling_lib.Sampling)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """A labelled video data set, a head to fit to it, and a metric of the head.

  Attributes:
    title: title of the benchmark's column in tables, such as 'SSv2 top-1'.
    name: name of the folder in the working directory that holds the head's
      checkpoints.
    read: function (data_dir, split, sampling, **settings) -> (records, notes)
      that lists the examples of a split without reading them. `sampling` is a
      `Sampling`; `settings` come from the config; `notes` are sentences on the
      videos that are left out, for the report.
    splits: names of the training split and of the test split, as `read` expects
      them.
    head: function (record, **settings) -> head. `record` is the first training
      record, from which a head can take sizes such as the number of classes;
      `settings` come from the config.
    metric: how predictions are scored.
    draw: function (record, example, prediction) -> picture of a test example,
      uint8 [height, width, 3]. Its arguments are the fields of `scoring.Shown`.
    tabulate: function that converts the rows of `metric.score`, one for each
      test example, to the rows of the report. By default the report has the
      same rows.
    note: function record -> sentences on the data set for the report. `record`
      is the first training record. None adds no sentences.
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
      workdir: folder for features and checkpoints. If an earlier call with the
        same arguments was interrupted, this call reuses what it left there.
      sampling: fields of `Sampling` with the same value in both splits.
      train: other fields of `Sampling`, and settings of the reader, for the
        training split.
      test: other fields of `Sampling`, and settings of the reader, for the test
        split.
      head: settings of the head.
      features: settings of how features are computed and stored, described in
        configs/readouts.py.
      training: settings of how the head is fitted, described in
        configs/readouts.py.

    Returns:
      The report.

    Raises:
      FileNotFoundError: a file or folder of the data set is missing.
      ImportError: the reader needs a package that is not installed.
      TypeError: a setting is unknown; the message names it.
      ValueError: files are broken, settings contradict each other, or the
        working directory holds features or checkpoints of other settings.
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
  """The records of both splits of a data set.

  Attributes:
    train: records of the training examples, at least one.
    test: records of the test examples, at least one.
    files: paths of the files that the examples are read from, each once.
    notes: sentences on the videos that are left out, for the report.
    settings: under the keys 'train' and 'test', the settings that determine
      what the examples of that split contain.
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
  """Lists the records of the training split and of the test split.

  Args:
    read: reader of the data set, as described for `Task.read`.
    data_dir: folder of the data set.
    names: names of the training split and of the test split.
    sampling: fields of `Sampling` with the same value in both splits.
    train: other fields of `Sampling`, and settings of the reader, for the
      training split.
    test: other fields of `Sampling`, and settings of the reader, for the test
      split.

  Returns:
    The records, with files, notes and settings.

  The errors of the reader are passed on.

  Raises:
    TypeError: a setting is unknown both to `Sampling` and to the reader.
    ValueError: a split has no examples.
  """
  lists, notes, settings = [], [], {}
  for name, part, own in zip(names, ('train', 'test'), (train, test)):
    # Divide the split's settings between `Sampling` and the reader.
    fields = {key: own[key] for key in own if key in _SAMPLING_FIELDS}
    rest = {key: own[key] for key in own if key not in _SAMPLING_FIELDS}
    records, found = read(
        data_dir, name, sampling_lib.Sampling(**sampling, **fields), **rest
    )
    if not records:
      raise ValueError(f'{data_dir}: the split {name} has no examples')
    lists.append(records)
    notes += [f'{name}: {note}' for note in found]
    # `max_bad_share` does not determine what examples contain. It limits how
    # many videos may be left out, and the names of the records show which ones
    # are.
    deciding = {key: own[key] for key in own if key != 'max_bad_share'}
    settings[part] = {'sampling': sampling, part: deciding}
  # A dict drops repeated paths and keeps their order.
  files = dict.fromkeys(p for part in lists for r in part for p in r.files)
  return Splits(*lists, list(files), notes, settings)
