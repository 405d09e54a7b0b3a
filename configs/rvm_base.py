"""RVM-B: the paper's pretraining run, with every key that a run has.

  python -m rvm_jax.main --config=configs/rvm_base.py --workdir=runs/base \
      --config.data.sources="('/data/ssv2', '/data/kinetics.csv')" \
      --config.data.weights="(0.25, 0.75)"

Hardware: the paper's runs took 256 TPU v6 cores. One step is 2.3 PFLOP, so that
a million steps take about 68 days on one GPU that does 395 TFLOP/s, half of
what an H200 does on large products (arithmetic, not measured). Memory
(computed): 2.6 GB of state on each device, 0.43 GB more for each clip with
remat 'dots'. On few devices raise `num_microbatches` until a microbatch fits.

The other configs say only how they differ from this one. Source of the values:
arXiv 2512.13684, marked [P]; values that the paper's readers report,
unverified, marked [R]; ours, marked [O].
"""

import ml_collections
from ml_collections import config_dict

from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.seed = 0
  # What is trained: a key of `rvm_jax.training.objectives.OBJECTIVES`.
  config.objective = 'rvm'
  config.num_steps = 1_000_000  # [P] about 2 G clips.

  # Arguments of `rvm_jax.models.rvm.RVM`.
  config.model = dict(
      **rvm.SIZES['B'],
      core_layers=4,
      decoder_width=512,
      decoder_layers=8,
      decoder_heads=16,
      decoder_mlp=2048,
      patch=16,
      dtype='bfloat16',  # Of the products; parameters are float32.
      attention='xla',  # 'cudnn' on GPUs: does not hold the scores in memory.
      remat='dots',  # What is recomputed: 'none', 'dots', 'full'.
  )

  # Arguments of `rvm_jax.data.pipeline.Pipeline`.
  config.data = dict(
      # Folders, globs, manifests (CSV: path,start,end,label), or 'scenes': the
      # generated scenes, which need no files.
      sources=('scenes',),
      weights=(1.0,),  # One for each source, relative to each other.
      num_scenes=1_000_000,
      batch_size=2048,  # [P] Clips in a step, over all devices.
      num_source=4,  # [P] T, consecutive frames.
      num_target=4,  # [P] K, future frames.
      stride=1,  # Frames between source frames.
      min_gap=4,  # [P] Frames from the last source frame to a target,
      max_gap=48,  # [P] uniformly drawn for each target.
      # Frames per second that clips are sampled at; native if not set.
      frame_rate=config_dict.placeholder(float),
      height=256,  # [P] Pixels.
      width=256,
      crop_area=(0.3, 1.0),  # [P] Of the frame's area.
      crop_aspect=(0.75, 1.25),  # [P] Width / height.
      flip=0.5,  # [P] Probability.
      # [O] Of broken videos before the start, and of skipped clips on the way.
      max_bad_share=0.1,
      num_workers=16,  # [O] Processes that decode, on each host.
      prefetch=2,  # [O] Batches ready in each of them.
  )
  config.mask_ratio = 0.95  # [P] Hidden patches of a target.

  # AdamW, linear warm-up, cosine.
  config.optimizer = dict(
      learning_rate=1.5e-4,  # [R] Peak, for batches of 2048.
      warmup_steps=10_000,  # [R]
      final_learning_rate=0.0,  # [R] At the end of the cosine.
      weight_decay=0.05,  # [R] Of dense kernels.
      # Of those of the recurrent core, if it is another.
      core_weight_decay=config_dict.placeholder(float),
      beta1=0.9,  # [R]
      beta2=0.95,  # [R]
      clip_norm=1.0,  # [R] Global norm of the gradient.
  )

  # Devices over which parameters are split; batches are split over all devices.
  config.fsdp = 1
  # Parts of a batch that run one after the other, to save memory.
  config.num_microbatches = 1

  config.checkpoint = dict(
      save_every=1000,  # Steps.
      keep_last=3,
      keep_every=50_000,  # These stay for good.
      # What a workdir without checkpoints starts from instead of the seed: a
      # released .npz, or another run. Optimiser, data and step start anew.
      init_from=config_dict.placeholder(str),
      fresh_decoder=False,  # Only encoder and core of it; the decoder is new.
  )
  config.log_every = 50  # Steps between progress lines.
  config.eval_every = 5000  # Steps between evaluations, with pictures.
  # Generated scenes that features are scored on at each; readouts are fitted to
  # three quarters of them. Each stays in the memory of every process: 4 MB at
  # 256 x 256 pixels.
  config.num_eval_scenes = 256
  return config
