"""What the benchmarks on public videos with a readout share: their clips."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.fitting import examples as examples_lib


class Splits(NamedTuple):
  """Clips of a data set.

  Attributes:
    train, test: records.
    files: paths of what they are read from.
    notes: on what is left out, for the report.
    settings: 'train' and 'test', that decide what is in their examples.
  """

  train: Sequence[examples_lib.Record]
  test: Sequence[examples_lib.Record]
  files: Sequence[str]
  notes: Sequence[str]
  settings: Mapping[str, Any]


def read(
    reader: Callable[..., tuple[Sequence[examples_lib.Record], list[str]]],
    data_dir: str,
    names: tuple[str, str],
    sampling: Mapping[str, Any],
    train: Mapping[str, Any],
    test: Mapping[str, Any],
) -> Splits:
  """Lists the clips to train on and those to score on.

  Args:
    reader: `read` of the data set.
    data_dir: see there.
    names: of the two splits.
    sampling: fields of `sampling.Sampling` that both splits have in common.
    train, test: other fields of it, and arguments of `reader`.

  Raises:
    TypeError: a setting that neither has.
    What `reader` raises.
  """
  lists, notes, settings = [], [], {}
  for name, part, own in zip(names, ('train', 'test'), (train, test)):
    fields = {field.name for field in dataclasses.fields(sampling_lib.Sampling)}
    cutting = {key: own[key] for key in own if key in fields}
    rest = {key: own[key] for key in own if key not in fields}
    records, found = reader(
        data_dir, name, sampling_lib.Sampling(**sampling, **cutting), **rest
    )
    lists.append(records)
    notes += [f'{name}: {note}' for note in found]
    # What is left out for being broken is no setting: the records tell.
    deciding = {key: own[key] for key in own if key != 'max_bad_share'}
    settings[part] = {'sampling': sampling, part: deciding}
  files = dict.fromkeys(p for part in lists for r in part for p in r.files)
  return Splits(*lists, list(files), notes, settings)
