"""Helpers: a full disk, a pickle that leaves a trace, a run's checkpoint."""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import pathlib
import resource
from typing import Any

import orbax.checkpoint as ocp

from rvm_jax.models import rvm


class Payload:
  """An object whose unpickling creates the file `path`."""

  def __init__(self, path: pathlib.Path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), 'w')


@contextlib.contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
  """Makes the system refuse to grow any file beyond `num_bytes`."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def save_run(workdir: pathlib.Path, model: rvm.RVM, params: Mapping[str, Any]):
  """Writes a checkpoint of step 7 into `workdir`, as version 0.1.0 did."""
  config = {'model': settings(model)}
  with ocp.CheckpointManager(workdir / 'checkpoints') as manager:
    manager.save(
        7,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave({'params': params, 'step': 7}),
            data=ocp.args.JsonSave({}),
            config=ocp.args.JsonSave(config),
        ),
    )


def settings(model: rvm.RVM) -> dict[str, Any]:
  """Returns the group `model` of the config of a run."""
  own = {'parent', 'name'}
  fields = {field.name for field in dataclasses.fields(model)} - own
  return {name: getattr(model, name) for name in fields}
