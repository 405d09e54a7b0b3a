"""Reads and writes parameters as `.safetensors` files, which many tools read.

The name of a tensor is its key in the released layout with '.' in place of '/',
such as `encoder.layers_0.attention.query.kernel`; shapes and bits are the same.
The metadata of the file are strings:

  layout       'rvm_jax/1', the version of this format
  sizes        the sizes of the `RVM`, as JSON
  options      the settings of the `RVM` that no shape tells, as JSON
  fingerprint  the `trees.fingerprint` of the parameters
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


def save_safetensors(
    path: str | os.PathLike[str],
    params: Mapping[str, Any],
    *,
    content_first: bool = False,
):
  """Writes parameters to a file; `load` returns the same bits.

  Args:
    path: path of the file to write. The file appears only when it is whole.
    params: parameter tree of an `RVM`, float32, with or without decoder.
    content_first: the setting `content_first` of the `RVM`, which its
      parameters do not show.

  Raises:
    FileExistsError: something exists at `path`.
    OSError: the file cannot be written.
    ValueError: the tree is not that of an `RVM` (all differences are listed).
  """
  # The safetensors library writes the memory of an array as it is, so that
  # arrays must be in C order.
  arrays = {
      k: np.ascontiguousarray(v) for k, v in trees.flatten(params).items()
  }
  released.infer_model('params', arrays)
  metadata = {
      'layout': LAYOUT,
      'sizes': json.dumps(released.infer_sizes('params', arrays)),
      'options': json.dumps({'content_first': content_first}),
      'fingerprint': trees.fingerprint(arrays),
  }
  tensors = {key.replace('/', '.'): array for key, array in arrays.items()}
  with files.write_whole(path) as part, open(part, 'wb') as f:
    f.write(safetensors_numpy.save(tensors, metadata))


def read_safetensors(
    path: str | os.PathLike[str], *, verify: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Reads a file that `save_safetensors` wrote.

  Args:
    path: path of the file.
    verify: whether the arrays are compared with the fingerprint in the file.

  Returns:
    The arrays by their keys in the released layout; and the settings of the
    `RVM` that do not follow from the arrays. Files of earlier versions have no
    settings.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: it is not a `.safetensors` file, has another layout, or its
      parameters are not those that were saved.
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
  options = json.loads(metadata.get('options', '{}'))
  if not verify:
    return arrays, options
  fingerprint = trees.fingerprint(arrays)
  if metadata.get('fingerprint') != fingerprint:
    raise ValueError(
        f'{path} is damaged: its metadata has the fingerprint'
        f' {metadata.get("fingerprint")}, its parameters have {fingerprint}'
    )
  return arrays, options
