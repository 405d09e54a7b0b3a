"""Fits a head to features, and predicts with the fitted head.

Fitting uses the training loop of pretraining, which expects an objective, a
config and a stream of batches. `fit` makes the objective and the config for a
head; `fitting.stream` makes the stream.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
import dataclasses
import json
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from rvm_jax.evals.fitting import encoding
from rvm_jax.evals.fitting import stream as stream_lib
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Readout:
  """Training objective of a head: its loss on fixed features.

  It implements `training.protocols.Objective`.

  Attributes:
    model: the head, a linen module as described in `rvm_jax.evals.heads`.
    batch: shapes and dtypes of the arrays in a batch, by name: 'features', [B,
      T, N, C], and the ground truth.
  """

  model: nn.Module
  batch: Mapping[str, jax.ShapeDtypeStruct]

  def init(self, rng: jax.Array) -> Any:
    """Returns newly initialized parameters of the head."""
    # Shapes of parameters do not depend on B, so that B = 1 is enough.
    one = {
        key: jnp.zeros((1, *x.shape[1:]), x.dtype)
        for key, x in self.batch.items()
    }
    features, ground_truth = split(one)
    return self.model.init(rng, features, ground_truth)['params']

  def sample(
      self, rng: jax.Array, batch: Mapping[str, jax.Array]
  ) -> tuple[Mapping[str, jax.Array]]:
    """Returns the batch unchanged: this objective has no random inputs."""
    del rng
    return (batch,)

  def loss(self, params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the mean loss over the examples of a batch, float32 []."""
    features, ground_truth = split(batch)
    outputs = self.model.apply({'params': params}, features, ground_truth)
    return self.model.loss(outputs, ground_truth).mean()

  def cast(self, params: Any) -> Any:
    """Returns the parameters as they are: heads are computed in float32."""
    return params

  def is_core(self, path: str) -> bool:
    """Returns False: a head has no recurrent core."""
    del path
    return False


def split(
    batch: Mapping[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """Splits a batch into its features, as float32, and all other arrays."""
  ground_truth = dict(batch)
  features = ground_truth.pop('features').astype(jnp.float32)
  return features, ground_truth


def fit(
    head: nn.Module,
    stream: stream_lib.Stream,
    workdir: str,
    identity: Mapping[str, Any],
    *,
    learning_rate: float,
    seed: int,
    num_steps: int,
    batch_size: int,
    num_microbatches: int,
    warmup_steps: int,
    final_learning_rate: float,
    weight_decay: float,
    beta1: float,
    beta2: float,
    clip_norm: float,
    max_bad_share: float,
    save_every: int,
    log_every: int,
) -> Any:
  """Fits a head to a stream of features.

  If the working directory holds a checkpoint, fitting continues from it. The
  resulting parameters are bit for bit those of a run without interruption.

  Args:
    head: a linen module as described in `rvm_jax.evals.heads`.
    stream: training batches of `batch_size` examples.
    workdir: folder for checkpoints and TensorBoard events.
    identity: everything that determines the features, as values for JSON.
    learning_rate: peak learning rate.
    seed: seed of the head's initial parameters.
    num_steps: number of steps in total, including those before an interruption.
    batch_size: number of examples in a step, over all devices.
    num_microbatches: number of equal parts into which a batch is split; their
      gradients are computed one after the other and averaged.
    warmup_steps: number of steps in which the learning rate rises linearly from
      0 to its peak.
    final_learning_rate: learning rate at the end of the cosine decay.
    weight_decay: AdamW's weight decay, applied only to parameters named
      'kernel'.
    beta1: AdamW's decay rate of the first moment.
    beta2: AdamW's decay rate of the second moment.
    clip_norm: global norm to which gradients with a larger norm are scaled
      down.
    max_bad_share: largest share of the examples read so far that may be broken,
      in [0, 1].
    save_every: number of steps between checkpoints.
    log_every: number of steps between progress lines.

  Returns:
    The head's parameters.

  Raises:
    ValueError: settings contradict each other; or the working directory holds a
      checkpoint of another head, of other features or of other settings.
    NonFiniteError: the loss is not finite; the message names the step and its
      examples.
    RuntimeError: too many examples are broken.
  """
  num_shards = mesh_lib.num_batch_shards(mesh_lib.make_mesh(1))
  parts = num_shards * num_microbatches
  if batch_size % parts:
    below = max(batch_size // parts, 1) * parts
    raise ValueError(
        f'training.batch_size={batch_size} must be a multiple of'
        f' {num_shards} devices x {num_microbatches} microbatches; use'
        f' {below} or {below + parts}'
    )
  if warmup_steps >= num_steps:
    raise ValueError(
        f'training.warmup_steps={warmup_steps} must be below'
        f' training.num_steps={num_steps}'
    )

  # The config that the training loop expects. `protocol` is everything that
  # determines the fitted head: the loop refuses a checkpoint with another one.
  optimizer = dict(
      learning_rate=learning_rate,
      warmup_steps=warmup_steps,
      final_learning_rate=final_learning_rate,
      weight_decay=weight_decay,
      core_weight_decay=None,
      beta1=beta1,
      beta2=beta2,
      clip_norm=clip_norm,
  )
  protocol = dict(
      head=describe(head),
      features=dict(identity),
      training=dict(
          optimizer,
          seed=seed,
          num_steps=num_steps,
          batch_size=batch_size,
          num_microbatches=num_microbatches,
      ),
  )
  config = ml_collections.ConfigDict(
      dict(
          seed=seed,
          num_steps=num_steps,
          num_microbatches=num_microbatches,
          gradient_dtype='float32',
          ema_decay=None,
          fsdp=1,
          protocol=json.loads(json.dumps(protocol)),
          data=dict(batch_size=batch_size, max_bad_share=max_bad_share),
          optimizer=optimizer,
          checkpoint=dict(
              save_every=save_every,
              keep_last=1,
              keep_every=num_steps,
              verify=True,
              bucket=None,
              init_from=None,
              fresh_decoder=False,
          ),
          log_every=log_every,
          eval_every=num_steps,
      )
  )

  # The head gets all arrays of a batch except those that describe the records
  # which the examples were read from.
  batch = {
      key: jax.ShapeDtypeStruct(x.shape, x.dtype)
      for key, x in stream.first(batch_size).items()
      if key not in ('clip', 'skipped', 'number')
  }
  objective = Readout(head, batch)
  return loop.train(config, workdir, objective, stream, {}).params


def predict(
    head: nn.Module, fitted: Collection[Any], batches: Iterable[Arrays]
) -> Iterator[tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]]:
  """Yields the predictions of a head, with several sets of parameters.

  Args:
    head: a linen module as described in `rvm_jax.evals.heads`.
    fitted: sets of the head's parameters, each as returned by `fit`.
    batches: batches of 'features' and other arrays, each of at most
      `encoding.BATCH` examples.

  Yields:
    For each example, its arrays without 'features'; and a list of the
    predictions with each set of parameters, as `head.decode` returns them, but
    without the batch axis.
  """
  mesh = mesh_lib.make_mesh(1)
  num_shards = mesh_lib.num_batch_shards(mesh)
  # All batches are padded to one size, a multiple of the number of shards, so
  # that only one program is compiled.
  size = -(-encoding.BATCH // num_shards) * num_shards

  @jax.jit
  def decode(params, batch):
    features, ground_truth = split(batch)
    outputs = head.apply({'params': params}, features, ground_truth)
    return head.decode(outputs, ground_truth)

  for batch in batches:
    # Pad the batch with copies of its last example.
    length = len(batch['features'])
    filled = {
        key: np.concatenate([x, np.repeat(x[-1:], size - length, 0)])
        for key, x in batch.items()
    }
    with jax.set_mesh(mesh):
      on_devices = mesh_lib.to_devices(filled, mesh)
      predictions = [
          jax.device_get(decode(params, on_devices)) for params in fitted
      ]
    # Split the batch into examples, without the padding.
    for row in range(length):
      yield (
          {key: x[row] for key, x in batch.items() if key != 'features'},
          [{key: x[row] for key, x in p.items()} for p in predictions],
      )


def describe(head: nn.Module) -> dict[str, Any]:
  """Returns the class name and the fields of a head, as values for JSON."""
  fields = {
      field.name: getattr(head, field.name)
      for field in dataclasses.fields(head)
      if field.name not in ('parent', 'name')
  }
  return {'class': type(head).__name__} | fields
