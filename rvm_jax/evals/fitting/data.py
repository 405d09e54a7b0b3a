"""Features to fit heads to and to score them on: kept on disk, or not."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
import os
from typing import Any, NamedTuple

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import feature_store as feature_store_lib
from rvm_jax.evals.fitting import stream as stream_lib


class Data(NamedTuple):
  """What a head is fitted to and scored on.

  Attributes:
    stream: batches to fit it to.
    identity: of the features in them.
    test: batches of the test examples, to be taken once.
    list_skipped: gives names of examples that could not be read, by part; of
      those that are not kept, as far as they have been taken.
  """

  stream: stream_lib.Stream
  identity: Mapping[str, Any]
  test: Iterable[Mapping[str, np.ndarray]]
  list_skipped: Callable[[], Mapping[str, Sequence[str]]]


def keep(
    model: encoder_lib.FrozenEncoder,
    train: Sequence[examples_lib.Record],
    test: Sequence[examples_lib.Record],
    workdir: str,
    examples: Mapping[str, Mapping[str, Any]],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
    truths: Collection[str],
) -> Data:
  """Features on disk, computed now if they are not there.

  Args:
    truths: what the head reads of them.
    See `fitting.task.evaluate` for the others.

  Raises:
    As `store.extract`.
  """
  settings = {key: x for key, x in features.items() if key != 'is_kept'}

  def extract(part, records):
    path = os.path.join(workdir, 'features', f'{part}.zarr')
    identity = feature_store_lib.identify(model, records, examples[part])
    return feature_store_lib.extract(model, records, path, identity, **settings)

  stored, tested = extract('train', train), extract('test', test)
  return Data(
      stream_lib.of_stored(
          stored.choose(truths),
          train,
          batch_size=training['batch_size'],
          seed=training['seed'],
      ),
      # With other rows in the store, a position in the stream means another.
      feature_store_lib.identify(model, train, examples['train'])
      | {'dtype': features['dtype'], 'skipped': stored.skipped},
      tested.batches(feature_store_lib.BATCH),
      lambda: {'training': stored.skipped, 'test': tested.skipped},
  )


def stream(
    model: encoder_lib.FrozenEncoder,
    train: Sequence[examples_lib.Record],
    test: Sequence[examples_lib.Record],
    workdir: str,
    examples: Mapping[str, Mapping[str, Any]],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
    truths: Collection[str],
) -> Data:
  """Features that are computed whenever they are needed: see `keep`."""
  del workdir, truths  # Examples are read whole.
  reading = {key: features[key] for key in ('num_workers', 'max_bad_share')}
  bad = set()
  fitted = stream_lib.of_records(
      model,
      train,
      batch_size=training['batch_size'],
      seed=training['seed'],
      is_augmented=training['is_augmented'],
      num_workers=features['num_workers'],
  )
  name = lambda records, numbers: [records[n].name for n in sorted(numbers)]
  return Data(
      fitted,
      feature_store_lib.identify(model, train, examples['train'])
      | {'is_augmented': training['is_augmented']},
      feature_store_lib.encode(model, test, 0, bad, **reading),
      lambda: {'training': name(train, fitted.bad), 'test': name(test, bad)},
  )
