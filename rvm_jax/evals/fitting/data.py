"""Prepares the features that a head is fitted to and scored on.

They are either computed once and kept on disk, or computed anew for each batch.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
import os
from typing import Any, NamedTuple

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import encoding
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import feature_store as feature_store_lib
from rvm_jax.evals.fitting import stream as stream_lib


class Data(NamedTuple):
  """Features and ground truth of the training and test examples.

  Attributes:
    stream: endless batches of training examples.
    identity: everything that determines the features in `stream`, as values
      that can be saved as JSON. Fitting continues from a checkpoint only if its
      identity is the same.
    test: batches of test examples, which can be iterated over only once.
    list_skipped: function without arguments that returns the names of the
      examples that could not be read, under the keys 'training' and 'test'. If
      features are not kept, examples are read only when they are needed, and
      the lists cover those read so far.
  """

  stream: stream_lib.Stream
  identity: Mapping[str, Any]
  test: Iterable[Mapping[str, np.ndarray]]
  list_skipped: Callable[[], Mapping[str, Sequence[str]]]


def prepare(
    model: encoder_lib.FrozenEncoder,
    train: Sequence[examples_lib.ExampleRecord],
    test: Sequence[examples_lib.ExampleRecord],
    workdir: str,
    *,
    examples: Mapping[str, Mapping[str, Any]],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
    names: Collection[str],
) -> Data:
  """Prepares the features of the training and test examples.

  If `features['is_kept']` is True, all features are on disk when this function
  returns; those that were there already are not computed again. Otherwise the
  features of a batch are computed, and errors in its examples are raised, when
  the batch is asked for.

  Args:
    model: the frozen encoder.
    train: records of the training examples.
    test: records of the test examples.
    workdir: folder for kept features.
    examples: under the keys 'train' and 'test', the settings that determine
      what the examples of that split contain.
    features: the settings `is_kept`, `dtype`, `num_workers` and
      `max_bad_share`, described in configs/readouts.py.
    training: settings of how the head is fitted. Only `batch_size`, `seed` and
      `is_augmented` are used here.
    names: names of the ground-truth arrays that the head uses. If features are
      kept, training batches have no other ground truth.

  Returns:
    The prepared features.

  Raises:
    ValueError: the features on disk belong to another encoder or other
      examples; examples differ in shape; or features are not finite.
    RuntimeError: too many examples cannot be read.
    OSError: the features cannot be written.
  """
  identity = feature_store_lib.identify(model, train, examples['train'])
  batches = {key: training[key] for key in ('batch_size', 'seed')}
  if features['is_kept']:
    settings = {key: x for key, x in features.items() if key != 'is_kept'}

    def extract(part, records, identity):
      path = os.path.join(workdir, 'features', f'{part}.zarr')
      return feature_store_lib.extract(
          model, records, path, identity, **settings
      )

    stored_train = extract('train', train, identity)
    stored_test = extract(
        'test',
        test,
        feature_store_lib.identify(model, test, examples['test']),
    )
    return Data(
        stream_lib.of_stored(stored_train.choose(names), train, **batches),
        # The skipped examples are part of the identity, because the positions
        # of the other examples in the stream depend on them: fitting could not
        # continue from a saved position if other examples were skipped.
        identity
        | {'dtype': features['dtype'], 'skipped': stored_train.skipped},
        stored_test.batches(encoding.BATCH),
        lambda: {'training': stored_train.skipped, 'test': stored_test.skipped},
    )

  is_augmented, num_workers = training['is_augmented'], features['num_workers']
  stream = stream_lib.of_records(
      model,
      train,
      is_augmented=is_augmented,
      num_workers=num_workers,
      **batches,
  )
  bad_test = set()

  def list_skipped():
    return {
        'training': [train[number].name for number in sorted(stream.bad)],
        'test': [test[number].name for number in sorted(bad_test)],
    }

  return Data(
      stream,
      identity | {'is_augmented': is_augmented},
      encoding.encode(
          model,
          test,
          0,
          bad_test,
          num_workers=num_workers,
          max_bad_share=features['max_bad_share'],
      ),
      list_skipped,
  )
