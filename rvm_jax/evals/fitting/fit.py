"""Fits heads to features with the trainer that also pretrains, and predicts."""

from collections.abc import Collection, Iterable, Iterator, Mapping
import dataclasses
import json
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from rvm_jax.evals.fitting import feature_store as feature_store_lib
from rvm_jax.evals.fitting import stream as stream_lib
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Readout:
  """The objective of fitting a head to fixed features, a `step.Objective`.

  Attributes:
    model: the head, a linen module that keeps to the contract of
      `rvm_jax.evals.heads`.
    batch: shapes and dtypes of 'features', [B, T, N, C], and of the ground
      truth, by name.
  """

  model: nn.Module
  batch: Mapping[str, jax.ShapeDtypeStruct]

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters of the head."""
    one = {
        key: jnp.zeros((1, *x.shape[1:]), x.dtype)
        for key, x in self.batch.items()
    }
    features, ground_truth = split(one)
    return self.model.init(rng, features, ground_truth)['params']

  def sample(
      self, rng: jax.Array, batch: Mapping[str, jax.Array]
  ) -> tuple[Mapping[str, jax.Array]]:
    """Returns the batch as it is, because fitting samples nothing."""
    del rng
    return (batch,)

  def loss(self, params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the mean loss of the examples, float32 []."""
    features, ground_truth = split(batch)
    outputs = self.model.apply({'params': params}, features, ground_truth)
    return self.model.loss(outputs, ground_truth).mean()

  def name_axes(self, path: str) -> tuple[str | None, ...]:
    """Returns no names: a head is small and stays whole on every device."""
    del path
    return ()

  def is_core(self, path: str) -> bool:
    """Returns False: a head has no recurrent core."""
    del path
    return False


def split(
    batch: Mapping[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """Splits a batch into its features, in float32, and the ground truth."""
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
  """Fits a head.

  In a working directory that holds a checkpoint it continues from there, and
  ends with the same parameters, bit for bit, as without the interruption.

  Args:
    head: a linen module that keeps to the contract of `rvm_jax.evals.heads`.
    stream: batches of `batch_size` examples.
    workdir: folder for checkpoints and events.
    identity: everything that the features follow from, for JSON.
    learning_rate: peak learning rate.
    seed: seed of the head's initial parameters.
    num_steps: number of steps, those before an interruption included.
    batch_size: examples in a step, over all devices.
    num_microbatches: number of equal parts of a batch that are computed one
      after the other.
    warmup_steps: steps in which the learning rate rises linearly from 0.
    final_learning_rate: learning rate at the end of the cosine decay.
    weight_decay: AdamW's weight decay, applied to kernels of dense layers.
    beta1: AdamW's decay rate of the first moment.
    beta2: AdamW's decay rate of the second moment.
    clip_norm: largest global norm of the gradient; larger ones are scaled down.
    max_bad_share: largest share of the examples that may be broken.
    save_every: steps between checkpoints.
    log_every: steps between progress lines.

  Returns:
    The head's parameters.

  Raises:
    ValueError: settings contradict each other; or the working directory
      belongs to another head, other features or other settings.
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
  # Everything that the fitted head follows from: a checkpoint with another
  # protocol is refused.
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
          fsdp=1,
          protocol=json.loads(json.dumps(protocol)),
          data=dict(batch_size=batch_size, max_bad_share=max_bad_share),
          optimizer=optimizer,
          checkpoint=dict(
              save_every=save_every,
              keep_last=1,
              keep_every=num_steps,
              init_from=None,
              fresh_decoder=False,
          ),
          log_every=log_every,
          eval_every=num_steps,
      )
  )
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
  """Yields what a head predicts for each example.

  Args:
    head: a linen module that keeps to the contract of `rvm_jax.evals.heads`.
    fitted: several sets of the head's parameters, each returned by `fit`.
    batches: batches of 'features' and ground truth, at most
      `feature_store.BATCH` rows each.

  Yields:
    One row of a batch without its features; and for each set of parameters
    what `head.decode` returns for that row, without the batch axis.
  """
  mesh = mesh_lib.make_mesh(1)
  num_shards = mesh_lib.num_batch_shards(mesh)
  # All batches are filled up to one size, a multiple of the shards, so that
  # only one program has to be compiled.
  size = -(-feature_store_lib.BATCH // num_shards) * num_shards

  @jax.jit
  def decode(params, batch):
    features, ground_truth = split(batch)
    outputs = head.apply({'params': params}, features, ground_truth)
    return head.decode(outputs, ground_truth)

  for batch in batches:
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
    for row in range(length):
      yield (
          {key: x[row] for key, x in batch.items() if key != 'features'},
          [{key: x[row] for key, x in p.items()} for p in predictions],
      )


def describe(head: nn.Module) -> dict[str, Any]:
  """Returns the class and the fields of a head, for JSON."""
  fields = {
      field.name: getattr(head, field.name)
      for field in dataclasses.fields(head)
      if field.name not in ('parent', 'name')
  }
  return {'class': type(head).__name__} | fields
