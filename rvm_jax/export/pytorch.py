"""Exports RVM to PyTorch: a `state_dict` and the file that runs it.

The export is a folder of two files: `state_dict.pt`, and `rvm_torch.py`, which
needs nothing but PyTorch and whose docstring says how to use both. PyTorch runs
in a process of its own (`torch_side`), so that it shares neither memory nor the
GPU with JAX.
"""

import importlib.util
import os
import shutil
import subprocess
import sys

import numpy as np

from rvm_jax import streaming
from rvm_jax.export import check
from rvm_jax.storage import files
from rvm_jax.weights import trees

MODULE = os.path.join(os.path.dirname(__file__), 'rvm_torch.py')


def write(out: str, encoder: streaming.Encoder) -> float:
  """Writes the folder `out` after PyTorch has reproduced the features.

  Args:
    out: path of the folder to write, which must not exist.
    encoder: a model without decoder, with float32 products, and its parameters.

  Returns:
    The largest absolute difference between a feature of PyTorch and of
    `encoder`.

  Raises:
    ModuleNotFoundError: PyTorch is not installed.
    OSError: something exists at `out`, or it cannot be written.
    RuntimeError: PyTorch failed, or its features differ.
  """
  if importlib.util.find_spec('torch') is None:
    raise ModuleNotFoundError(
        '--to torch needs PyTorch, to write the file and to check it: install'
        " the extra `torch`, pip install 'rvm_jax[torch]'"
    )
  videos = list(check.make_videos(encoder.model.patch))
  with files.write_whole(out) as folder:
    os.mkdir(folder)
    shutil.copy(MODULE, folder)
    # This folder lies beside the export, in the temporary folder that
    # `write_whole` deletes.
    exchange = f'{folder}.exchange'
    os.mkdir(exchange)
    params = trees.flatten(encoder.params)
    np.savez(
        os.path.join(exchange, 'params.npz'),
        **{key.replace('/', '.'): array for key, array in params.items()},
    )
    np.savez(os.path.join(exchange, 'videos.npz'), *videos)
    _run_torch(folder, exchange)
    with np.load(os.path.join(exchange, 'features.npz')) as found:
      return max(
          check.compare(found[name], check.encode(encoder, video))
          for name, video in zip(found.files, videos, strict=True)
      )


def _run_torch(folder: str, exchange: str):
  """Runs `torch_side` on the CPU; raises RuntimeError with its output."""
  done = subprocess.run(
      [sys.executable, '-m', 'rvm_jax.export.torch_side', folder, exchange],
      env=os.environ | {'CUDA_VISIBLE_DEVICES': ''},
      capture_output=True,
      text=True,
  )
  if done.returncode:
    raise RuntimeError(
        f'PyTorch failed with exit code {done.returncode}:\n{done.stderr}'
    )
