"""Recurrent video masked autoencoders (RVM): pretrain, evaluate, use."""


def load(path, dtype='float32', *, ema=True):
  """Loads a checkpoint for use on video.

  Args:
    path: path of a released `.npz`, of a `.safetensors` that `rvm_jax.export`
      wrote, of the workdir of a run (its newest checkpoint is read), or of one
      of its checkpoints; or 'rvm_tiny', the name of the small checkpoint that
      is part of the package. A file or folder of this name in the current
      directory takes precedence, with a warning.
    dtype: dtype of the matrix products, 'float32' or 'bfloat16'. Parameters and
      features are float32 in either case.
    ema: whether the exponential moving average (EMA) of the parameters is read,
      if the run keeps one; the log then says so. With False the parameters of
      the last step are read.

  Returns:
    A `rvm_jax.streaming.Encoder`: `encoder(video)` returns features.

  Raises:
    FileNotFoundError: nothing exists at `path`, which is no name of a
      checkpoint in the package; or there is no checkpoint of a run.
    ValueError: `path` is not a checkpoint of RVM; everything that is wrong with
      it is listed.
  """
  # This import is not at the top, because worker processes that decode video
  # import this package and must not load JAX.
  from rvm_jax import streaming

  return streaming.load(path, dtype, ema=ema)
