"""Something-Something v2: the class of a video, by a trained readout."""

from collections.abc import Mapping
from typing import Any

from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import classification
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.datasets import ssv2
from rvm_jax.evals.encoders import encoder as encoder_lib


def evaluate(
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
  """Scores an encoder on the validation videos, see `classification`.

  Args:
    model: the encoder.
    data_dir: see `datasets.ssv2`.
    workdir: see `readout.evaluate`.
    sampling, train, test: how videos are cut, see `clips.read`.
    head: settings of the readout.
    features, training: see `readout.evaluate`.

  Raises:
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, or settings that do not fit together.
  """
  splits = clips.read(
      ssv2.read, data_dir, ('train', 'validation'), sampling, train, test
  )
  return classification.evaluate(
      model,
      splits,
      ssv2.list_classes(data_dir),
      task='SSv2 top-1',
      num_known=174,
      workdir=workdir,
      head=head,
      features=features,
      training=training,
  )
