"""RVM-B: the paper's pretraining run. This config has every key of a run.

  python -m rvm_jax.main --config=configs/rvm_base.py --workdir=runs/base \
      --config.data.sources="('/data/ssv2', '/data/kinetics.csv')" \
      --config.data.weights="(0.25, 0.75)"

Hardware: the paper's runs took 256 TPU v6 cores. One step is 2.3 PFLOP, so that
a million steps take about 68 days on one GPU that does 395 TFLOP/s, half of
what an H200 does on large products (arithmetic, not measured). Memory
(computed): each device needs 2.6 GB for the training state with `fsdp=1`, and
0.43 GB for each clip of a microbatch with remat 'dots'. If a microbatch does
not fit into the devices' memory, raise `num_microbatches`.

The configs of the other sizes list only what differs from this one. The source
of a value is marked as follows:
  [P] the paper, arXiv 2512.13684;
  [R] reported by readers of the paper, not verified;
  [O] our own choice.
"""

import ml_collections
from ml_collections import config_dict

from rvm_jax.models import rvm


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  # Seed of the initial parameters, of the masks, and of the order and the crops
  # of the data.
  config.seed = 0
  # What is trained: a key of `rvm_jax.training.objectives.OBJECTIVES`.
  config.objective = 'rvm'
  # [P] With the batch size below these are about 2 billion clips.
  config.num_steps = 1_000_000

  # Arguments of `rvm_jax.models.rvm.RVM`.
  config.model = dict(
      **rvm.SIZES['B'],
      core_layers=4,
      decoder_width=512,
      decoder_layers=8,
      decoder_heads=16,
      decoder_mlp=2048,
      patch=16,
      # Dtype of the matrix products; parameters are float32 in any case.
      dtype='bfloat16',
      # Implementation of attention. 'auto' chooses by the device, the dtype and
      # the sizes, and logs the choice: 'pallas_tpu' on TPUs and 'cudnn' on GPUs
      # where they fit, because they keep no scores in memory; else 'xla'.
      attention='auto',
      # What the backward pass recomputes to save memory: 'none' nothing, 'dots'
      # all but the outputs of dense layers and of 'pallas_tpu', 'attention' all
      # but those of 'pallas_tpu' and 'cudnn', 'full' everything.
      remat='dots',
      # Whether the blocks of each part of the model are a loop, whose body is
      # compiled once. This takes less time to compile, and more memory and time
      # in each step: docs/pods.md has figures.
      scan_layers=False,
      # [O] Whether the decoder is told where source tokens are, and initial
      # values favour content over position: `rvm_jax.models.content_first`.
      # Small models learn faster with it; the released models do not have it.
      content_first=False,
  )

  # Arguments of `rvm_jax.data.pipeline.Pipeline`.
  config.data = dict(
      # Each source is a folder, a glob, a manifest (a CSV file with the columns
      # path,start,end,label), the folder of a packed set, on a disk or in a
      # bucket (gs://BUCKET/SET, see docs/shards.md), tfds:DIR or tfds:DIR:SPLIT
      # for videos that tensorflow-datasets prepared, or 'scenes' for generated
      # scenes, which need no files. A video is a file, or a folder of numbered
      # pictures.
      sources=('scenes',),
      # Relative share of each source in the samples.
      weights=(1.0,),
      # Number of different scenes in the source 'scenes'.
      num_scenes=1_000_000,
      # [P] Number of clips in a step, over all devices.
      batch_size=2048,
      # [P] T, number of source frames.
      num_source=4,
      # [P] K, number of target frames.
      num_target=4,
      # [P] Number of frames from one source frame to the next; 1 for
      # consecutive frames.
      stride=1,
      # [P] Least and greatest number of frames from the last source frame to a
      # target. The gap of each target is sampled uniformly from this range.
      min_gap=4,
      max_gap=48,
      # Rate at which videos are sampled, in frames per second; each video's own
      # rate if it is not set. The own rate of a folder of pictures is 25.
      frame_rate=config_dict.placeholder(float),
      # [P] Size of the frames in pixels.
      height=256,
      width=256,
      # [P] Least and greatest area of a crop, as a share of the frame's area.
      crop_area=(0.3, 1.0),
      # [P] Least and greatest width / height of a crop.
      crop_aspect=(0.75, 1.25),
      # [P] Probability of a horizontal flip.
      flip=0.5,
      # [O] Greatest share of broken videos in a source when it is opened, and
      # of skipped clips among those seen during the run.
      max_bad_share=0.1,
      # Share of the video files that are kept out of training, chosen by a hash
      # of their names. The loss on them is written as eval/held_out/loss. With
      # 0 there is no such loss.
      held_out_share=0.0,
      # [P] Number of samples that are cut from a part of a video each time it
      # is read, all for one batch. With 2 or more, video files are decoded less
      # often: benchmarks/README.md has figures. Each host's part of a batch
      # must be a multiple of it.
      repeats=1,
      # Greatest height and width in pixels of the boxes that the host cuts out
      # and the devices resize and flip; larger boxes are resized on the host.
      # This needs fewer cores of the host and, depending on the boxes, sends
      # more bytes to the devices: docs/running.md has figures. If they are not
      # set, the host resizes and flips all boxes.
      box_height=config_dict.placeholder(int),
      box_width=config_dict.placeholder(int),
      # [O] Number of processes on each host that decode videos. For RVM-B a
      # host of four v6e chips needs 12 to 32 of them if frames are packed as
      # JPEG (benchmarks/README.md, 2026-11-27).
      num_workers=16,
      # [O] Number of parts of batches, of at most 32 clips each, that each of
      # these processes reads ahead; 3 more wait in queues. So a host holds at
      # most num_workers * (prefetch + 3) parts besides the batch in use and the
      # next one. The log states this number of clips. Without processes, a
      # thread reads this number of whole batches ahead.
      prefetch=1,
  )
  # [P] Share of the patches of a target frame that are hidden.
  config.mask_ratio = 0.95

  # AdamW with linear warm-up and cosine decay.
  config.optimizer = dict(
      # [R] Peak of the learning rate, for batches of 2048 clips.
      learning_rate=1.5e-4,
      # [R] Number of steps in which the learning rate rises from zero.
      warmup_steps=10_000,
      # [R] Learning rate at the end of the cosine.
      final_learning_rate=0.0,
      # [R] Weight decay of the kernels of dense layers.
      weight_decay=0.05,
      # Weight decay of the kernels of the recurrent core; `weight_decay` if it
      # is not set.
      core_weight_decay=config_dict.placeholder(float),
      # [R] Adam's decay rates of the gradient's first and second moment.
      beta1=0.9,
      beta2=0.95,
      # [R] Largest global norm of the gradient; larger ones are scaled down.
      clip_norm=1.0,
      # Dtype in which Adam's moments are stored. They are computed in float32.
      # In 'bfloat16' they take half the memory; `beta1` and `beta2` must then
      # be at most 0.99.
      moments_dtype='float32',
  )

  # Spikes are steps whose loss or gradient norm is far above that of recent
  # steps (`rvm_jax.training.spikes`).
  config.spikes = dict(
      # [O] What a run does after a spike: 'none' nothing, 'skip' it does not
      # apply the update, 'stop' it ends. The paper names no such rule.
      policy='none',
      # Number of recent steps that a step is compared with. This value and the
      # next are those of OLMo-core's SkipStepOptimizer and of MaxText's
      # skip_step_on_spikes.
      window=128,
      # Number of standard deviations above the mean of the recent steps from
      # which on a step is a spike.
      sigmas=6.0,
  )

  # Number of devices that parameters are split over. A batch is split over all
  # devices in any case.
  config.fsdp = 1
  # Number of parts of a batch that are computed one after the other, to save
  # memory.
  config.num_microbatches = 1
  # Dtype in which the gradients of all devices are added up, once in a step.
  config.gradient_dtype = 'float32'
  # Decay of the exponential moving average (EMA) of the parameters, such as
  # 0.9999. The EMA takes as much memory as the parameters. Evaluators use it in
  # place of the parameters, and so does everything that loads a checkpoint. If
  # it is not set there is no EMA, as in the paper.
  config.ema_decay = config_dict.placeholder(float)

  config.checkpoint = dict(
      # Number of steps between checkpoints.
      save_every=1000,
      # Number of newest checkpoints that are kept.
      keep_last=3,
      # Checkpoints whose step is a multiple of this number are never deleted.
      keep_every=50_000,
      # Whether a checkpoint is compared with its digests when a run resumes
      # from it. It takes 1 s for each GB of state on a CPU core. Without it,
      # only parameters that are not finite are noticed.
      verify=True,
      # URL of a folder for the checkpoints, such as gs://bucket/run, if they
      # are not to be in the workdir; needs the package gcsfs. No two runs may
      # have the same one. rvm_jax.load and `init_from` take it as a workdir.
      bucket=config_dict.placeholder(str),
      # Path of the parameters that a run without checkpoints starts from: a
      # released .npz, a .safetensors file, the workdir of another run, or
      # 'rvm_tiny', the checkpoint in the package. The optimizer's state, the
      # position in the data and the step count start anew. The decoder must
      # have been trained with the same `content_first`. If it is not set,
      # parameters are initialised from the seed.
      init_from=config_dict.placeholder(str),
      # Whether only the encoder and the core are taken from `init_from`, and
      # the decoder is initialised from the seed.
      fresh_decoder=False,
  )
  # Longest time from one step to the next, in seconds. A run that takes longer
  # counts as hanging and ends with the exit code 76. If it is not set, the
  # limit is 20 times the median time of the last steps, and at least 300 s.
  config.max_step_seconds = config_dict.placeholder(float)
  # Project of Weights & Biases that scalars are sent to as well; none if it is
  # not set. It needs the extra 'wandb'.
  config.wandb_project = config_dict.placeholder(str)
  # Number of steps between progress lines.
  config.log_every = 50
  # Number of steps between evaluations, which write scores and pictures.
  config.eval_every = 5000
  # Number of generated scenes on which each evaluation scores the features:
  # readouts are fitted to three quarters of them and tested on the rest. Every
  # process keeps all of them in memory, 4 MB each at 256 x 256 pixels. At least
  # 16, or 0 to evaluate on no scenes.
  config.num_eval_scenes = 256
  return config
