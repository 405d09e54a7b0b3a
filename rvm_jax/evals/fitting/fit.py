"""A head fitted to features by the trainer that pretrains, and put to use."""

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
  """Fits a head to features that stay as they are: a `step.Objective`.

  Attributes:
    model: the head, see `readouts`.
    batch: shapes of 'features', [B, T, N, C], and of the truths.
  """

  model: nn.Module
  batch: Mapping[str, jax.ShapeDtypeStruct]

  def init(self, rng: jax.Array) -> Any:
    """Fresh parameters."""
    one = lambda x: jnp.zeros((1, *x.shape[1:]), x.dtype)
    features, truths = split(jax.tree.map(one, dict(self.batch)))
    return self.model.init(rng, features, truths)['params']

  def sample(
      self, rng: jax.Array, batch: Mapping[str, jax.Array]
  ) -> tuple[Mapping[str, jax.Array]]:
    """The batch; nothing is random."""
    del rng
    return (batch,)

  def loss(self, params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Mean loss of the examples."""
    features, truths = split(batch)
    outputs = self.model.apply({'params': params}, features, truths)
    return self.model.loss(outputs, truths).mean()


def split(
    batch: Mapping[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """A batch's features, in float32, and its truths."""
  truths = dict(batch)
  return truths.pop('features').astype(jnp.float32), truths


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
  """Fits a head; in a workdir that has begun to, goes on bit for bit.

  Args:
    head: see `readouts`.
    stream: batches of `batch_size` examples.
    workdir: for checkpoints and events.
    identity: of the features, for JSON.
    learning_rate: peak; the other settings of the optimiser are those of
      `training.optimizer`.
    seed: of the head's initial values.
    num_steps: in all.
    batch_size: examples in a step, over all devices.
    num_microbatches: parts of a batch that run one after the other.
    max_bad_share: of the examples that cannot be read.
    save_every: steps between checkpoints.
    log_every: steps between progress lines.

  Returns:
    The head's parameters.

  Raises:
    ValueError: settings that do not fit together; or the workdir is of another
      head, other features or other settings.
    NonFiniteError: names the step and its examples.
    RuntimeError: too many examples cannot be read.
  """
  parts = jax.device_count() * num_microbatches
  if batch_size % parts:
    below = max(batch_size // parts, 1) * parts
    raise ValueError(
        f'training.batch_size={batch_size} must be a multiple of'
        f' {jax.device_count()} devices x {num_microbatches} microbatches; use'
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
  # All that decides what the head becomes: a checkpoint of another is refused.
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
  """What heads say about examples, one after the other.

  Args:
    head: see `readouts`.
    fitted: parameters, each of a call of `fit`.
    batches: of 'features' and truths, at most `store.BATCH` rows each.

  Yields:
    A row of a batch without its features, and what `head.decode` gives for it
    with each of the parameters.
  """
  mesh = mesh_lib.make_mesh(1)
  size = -(-feature_store_lib.BATCH // mesh.size) * mesh.size

  @jax.jit
  def decode(params, batch):
    features, truths = split(batch)
    outputs = head.apply({'params': params}, features, truths)
    return head.decode(outputs, truths)

  for batch in batches:
    length = len(batch['features'])
    filled = {
        key: np.concatenate([x, np.repeat(x[-1:], size - length, 0)])
        for key, x in batch.items()
    }
    with jax.set_mesh(mesh):
      on_devices = mesh_lib.to_devices(filled, mesh)
      found = [jax.device_get(decode(p, on_devices)) for p in fitted]
    for row in range(length):
      yield (
          {key: x[row] for key, x in batch.items() if key != 'features'},
          [{key: x[row] for key, x in answer.items()} for answer in found],
      )


def describe(head: nn.Module) -> dict[str, Any]:
  """The head's class and fields, good for JSON."""
  fields = {
      field.name: getattr(head, field.name)
      for field in dataclasses.fields(head)
      if field.name not in ('parent', 'name')
  }
  return {'class': type(head).__name__} | fields
