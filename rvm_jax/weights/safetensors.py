"""Parameters as a `.safetensors` file, which many tools read.

A tensor's name is its key in the released layout with '.' for '/', such as
`encoder.layers_0.attention.query.kernel`; shapes and bits are the same. The
metadata, all text, are

  layout: 'rvm_jax/1', the version of what is said here;
  sizes: JSON, the sizes of the `RVM`;
  fingerprint: of the parameters, see `trees.fingerprint`.
"""

from collections.abc import Mapping
import json
import os
from typing import Any

import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from rvm_jax.storage import files
from rvm_jax.weights import released
from rvm_jax.weights import trees

LAYOUT = 'rvm_jax/1'


def save_safetensors(path: str | os.PathLike[str], params: Mapping[str, Any]):
  """Writes parameters; loading gives the same bits.

  Args:
    path: of the file to write, which appears only when it is whole.
    params: the parameter tree of an `RVM`, float32.

  Raises:
    FileExistsError: there is something at `path`.
    OSError: it cannot be written.
    ValueError: the tree is not that of an `RVM`, all differences listed.
  """
  arrays = {
      k: np.ascontiguousarray(v) for k, v in trees.flatten(params).items()
  }
  released.model_of('params', arrays)
  metadata = {
      'layout': LAYOUT,
      'sizes': json.dumps(released.read_sizes('params', arrays)),
      'fingerprint': trees.fingerprint(arrays),
  }
  tensors = {key.replace('/', '.'): array for key, array in arrays.items()}
  with files.write_whole(path) as part, open(part, 'wb') as f:
    f.write(safetensors_numpy.save(tensors, metadata))


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """The arrays of a file of `save_safetensors`, by their released keys.

  Raises:
    FileNotFoundError: no such file.
    ValueError: another file, another layout, or not the parameters that were
      saved.
  """
  try:
    with safetensors.safe_open(path, framework='np') as f:
      metadata = f.metadata() or {}
      if metadata.get('layout') != LAYOUT:
        raise ValueError(
            f'{path} was not written by this project: the layout in its'
            f' metadata must be {LAYOUT!r}, got {metadata.get("layout")!r}'
        )
      arrays = {k.replace('.', '/'): f.get_tensor(k) for k in f.keys()}
  except safetensors.SafetensorError as error:
    raise ValueError(f'{path} is not a .safetensors file: {error}') from error
  fingerprint = trees.fingerprint(arrays)
  if metadata.get('fingerprint') != fingerprint:
    raise ValueError(
        f'{path} is damaged: its metadata has the fingerprint'
        f' {metadata.get("fingerprint")}, its parameters have {fingerprint}'
    )
  return arrays
