"""A small RVM on generated scenes: what `make demo` trains on two CPU cores.

  python -m rvm_jax.main --config=configs/rvm_demo.py --workdir=runs/demo

Gaps are short, so that the model can learn early to use the source frames. A
prediction that copies the last source frame has a mean squared error of 0.029
at gaps of 2 to 24 frames (2026-11-22, 3200 clips), no better than a prediction
of each frame's mean colour; at gaps of 1 to 8 frames it has 0.014, and
0.008 if only hidden patches are copied (2026-11-26, 384 clips).

After this short training, features represent content if `content_first` is set
and 60 % of a target frame is hidden. With the paper's settings (no
`content_first`, and 90 or 95 % hidden) they represent little but positions;
docs/results.md compares the two.

The core's weight decay is large, so that weights which the loss does not need
shrink about as much in this short run as in the paper's long one. They shrink
by the factor exp(-(sum over steps of learning rate times weight decay)), which
is e^-4.8 here and e^-3.75 in the paper's run. Without this decay the core stays
close to its initial weights, with which the state after the first frame differs
from all later states, and the features of one object change over time. If the
encoder decayed as much, its tokens would encode their positions and little
else.
"""

import ml_collections

from configs import rvm_base


def get_config() -> ml_collections.ConfigDict:
  config = rvm_base.get_config()
  config.num_steps = 1600
  config.mask_ratio = 0.6
  config.model.update(
      width=96,
      encoder_layers=2,
      encoder_heads=3,
      encoder_mlp=256,
      core_layers=1,
      core_heads=3,
      core_mlp=192,
      decoder_width=64,
      decoder_layers=2,
      decoder_heads=2,
      decoder_mlp=128,
      patch=8,
      dtype='float32',
      remat='none',
      content_first=True,
  )
  config.data.update(
      num_scenes=100_000,
      batch_size=8,
      num_target=2,
      min_gap=1,
      max_gap=8,
      height=64,
      width=64,
      crop_area=(0.5, 1.0),
      num_workers=2,
  )
  config.optimizer.update(
      learning_rate=2e-3, warmup_steps=60, core_weight_decay=3.0
  )
  config.checkpoint.update(save_every=100, keep_last=2)
  config.log_every = 20
  config.eval_every = 400
  config.num_eval_scenes = 128
  return config
