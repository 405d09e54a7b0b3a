"""The common part of the configs of benchmarks that train a readout.

The recipe is that of 4DS (arXiv 2412.15212), as papers that cite it describe
it; it has not been checked against 4DS itself: 40,000 steps of 32 examples,
AdamW with weight decay 1e-4, the best of the learning rates 1e-4, 3e-4 and
1e-3, 1000 steps of warm-up, cosine decay to 1e-7.

[O] marks our own choices, where the value of the RVM paper is not known.
"""

from typing import Any

import ml_collections
from ml_collections import config_dict


def get_config(
    benchmark: str,
    *,
    sampling: dict[str, Any],
    train: dict[str, Any],
    test: dict[str, Any],
    head: dict[str, Any],
) -> ml_collections.ConfigDict:
  """Returns the config of a benchmark.

  Args:
    benchmark: name of the benchmark, a key of `rvm_jax.evals.run.BENCHMARKS`.
    sampling: fields of `rvm_jax.evals.datasets.sampling.Sampling` that are
      particular to the benchmark.
    train: fields of `Sampling` and arguments of the data set's reader for the
      examples that the head is fitted to.
    test: fields of `Sampling` and arguments of the data set's reader for the
      examples that the head is scored on.
    head: sizes of the readout.
  """
  config = ml_collections.ConfigDict()
  config.benchmark = benchmark
  config.data_dir = config_dict.placeholder(str)  # Folder of the data set.
  # Examples of 16 frames, which the encoder sees in 224 x 224 pixels.
  size = dict(num_frames=16, height=224, width=224)
  config.protocol = ml_collections.ConfigDict(
      dict(
          sampling=size | sampling,
          train=train,
          test=test,
          head=head,
          features=get_features(),
          training=get_training(),
      )
  )
  # True replaces the height and width above by the nearest multiples of the
  # encoder's patch; False refuses an encoder whose patch does not divide them.
  config.resize_to_patch = False
  return config


def get_features() -> ml_collections.ConfigDict:
  """Returns the settings of how the encoder's features reach the head."""
  return ml_collections.ConfigDict(
      dict(
          # [O] Whether the features of each example are computed once and kept
          # on disk. Otherwise they are computed anew for each batch.
          is_kept=False,
          dtype='float16',  # [O] On disk: 'float16' or 'float32'.
          # [O] Processes that read examples; with 0 a thread reads.
          num_workers=0,
          # [O] Largest share of the examples that may be broken.
          max_bad_share=0.01,
      )
  )


def get_training() -> ml_collections.ConfigDict:
  """Returns the settings of how the head is fitted.

  All but `is_augmented` and `learning_rates` are arguments of
  `rvm_jax.evals.fitting.fit.fit`.
  """
  return ml_collections.ConfigDict(
      dict(
          seed=0,
          num_steps=40_000,
          batch_size=32,  # Examples in a step, over all devices.
          num_microbatches=1,
          # [O] Whether an example is cut from its video at random each time it
          # is read. Its features then cannot be kept.
          is_augmented=True,
          # Peak learning rates. The score of the one that is best on the test
          # examples is reported.
          learning_rates=(1e-4, 3e-4, 1e-3),
          warmup_steps=1000,
          final_learning_rate=1e-7,
          # [O] Only kernels of dense layers decay, as in pretraining.
          weight_decay=1e-4,
          beta1=0.9,  # [O]
          beta2=0.999,  # [O]
          clip_norm=1.0,  # [O] Global norm of the gradient.
          save_every=1000,  # [O] Steps between checkpoints.
          log_every=100,  # [O] Steps between progress lines.
      )
  )
