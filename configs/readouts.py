"""How readouts are fitted: what the benchmarks that train one have in common.

From 4DS (arXiv 2412.15212), as its readers quote it, unverified: 40,000 steps
of 32 examples, AdamW with weight decay 1e-4, learning rates 1e-4, 3e-4 and 1e-3
of which the best is reported, 1000 steps of warm-up, a cosine to 1e-7. Marked
[O]: ours.
"""

import ml_collections


def get_features() -> ml_collections.ConfigDict:
  """How the encoder's features come to the head."""
  return ml_collections.ConfigDict(
      dict(
          # [O] Computed once and kept on disk; else anew for each batch.
          is_kept=False,
          dtype='float16',  # [O] On disk: 'float16' or 'float32'.
          num_workers=0,  # [O] Processes that read examples; 0 for a thread.
          max_bad_share=0.01,  # [O] Of examples that cannot be read.
      )
  )


def get_training() -> ml_collections.ConfigDict:
  """Arguments of `rvm_jax.evals.fitting.fit.fit`."""
  return ml_collections.ConfigDict(
      dict(
          seed=0,
          num_steps=40_000,
          batch_size=32,  # Examples in a step, over all devices.
          num_microbatches=1,
          is_augmented=True,  # [O] Needs features.is_kept=False.
          learning_rates=(1e-4, 3e-4, 1e-3),
          warmup_steps=1000,
          final_learning_rate=1e-7,
          weight_decay=1e-4,  # [O] Of dense kernels alone, as in pretraining.
          beta1=0.9,  # [O]
          beta2=0.999,  # [O]
          clip_norm=1.0,  # [O] Global norm of the gradient.
          save_every=1000,  # [O] Steps between checkpoints.
          log_every=100,  # [O] Steps between progress lines.
      )
  )
