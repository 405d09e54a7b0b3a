"""Recurrent video masked autoencoders in JAX: pretrain, evaluate, use."""


def load(path, dtype='float32'):
  """Loads a checkpoint for use on video.

  Args:
    path: a released `.npz`, a `.safetensors` of ours, the workdir of a run, or
      one of its checkpoints.
    dtype: of the products, 'float32' or 'bfloat16'.

  Returns:
    A `rvm_jax.streaming.Encoder`: `encoder(video)` gives features.

  Raises:
    FileNotFoundError: nothing there, or no checkpoint of a run.
    ValueError: not a checkpoint of RVM, with all that is wrong about it.
  """
  # Not at the top: workers that decode video import this package without JAX.
  from rvm_jax import streaming

  return streaming.load(path, dtype)
