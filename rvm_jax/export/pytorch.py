"""A PyTorch `state_dict`, and the one file of PyTorch that runs it.

A folder of two files: `state_dict.pt`, and `rvm_torch.py`, which needs nothing
but PyTorch and says how to use both. PyTorch writes and checks them in a
process of its own, without JAX and without the GPU.
"""

from collections.abc import Mapping
import importlib.util
import os
import shutil
import subprocess
import sys
from typing import Any

import numpy as np

from rvm_jax.export import check
from rvm_jax.models import rvm
from rvm_jax.storage import files
from rvm_jax.weights import trees

MODULE = os.path.join(os.path.dirname(__file__), 'rvm_torch.py')


def write(out: str, model: rvm.RVM, params: Mapping[str, Any]) -> float:
  """Writes the folder `out`, run by PyTorch and held against `model`.

  Args:
    out: path of the folder, which must not exist.
    model: an RVM with float32 products.
    params: of its encoder and core.

  Returns:
    The largest difference of a feature.

  Raises:
    ModuleNotFoundError: PyTorch is not installed.
    OSError: the folder is there already, or cannot be written.
    RuntimeError: PyTorch does not reproduce the features, or has failed.
  """
  if importlib.util.find_spec('torch') is None:
    raise ModuleNotFoundError(
        '--to torch needs PyTorch, to write the file and to check it: install'
        " the extra `torch`, pip install 'rvm_jax[torch]'"
    )
  videos = list(check.make_videos(model.patch))
  with files.write_whole(out) as folder:
    os.mkdir(folder)
    shutil.copy(MODULE, folder)
    exchange = f'{folder}.exchange'  # Goes when this is done.
    os.mkdir(exchange)
    np.savez(
        os.path.join(exchange, 'params.npz'),
        **{k.replace('/', '.'): x for k, x in trees.flatten(params).items()},
    )
    np.savez(os.path.join(exchange, 'videos.npz'), *videos)
    _run_torch(folder, exchange)
    with np.load(os.path.join(exchange, 'features.npz')) as found:
      return max(
          check.compare(found[name], check.encode(model, params, video))
          for name, video in zip(found.files, videos, strict=True)
      )


def _run_torch(folder, exchange):
  done = subprocess.run(
      [sys.executable, '-m', 'rvm_jax.export.torch_side', folder, exchange],
      env=os.environ | {'CUDA_VISIBLE_DEVICES': ''},
      capture_output=True,
      text=True,
  )
  if done.returncode:
    raise RuntimeError(
        f'PyTorch has failed, exit code {done.returncode}:\n{done.stderr}'
    )
