"""The part of `pytorch.write` that PyTorch does, in a process without JAX.

  python -m rvm_jax.export.torch_side FOLDER EXCHANGE

FOLDER holds rvm_torch.py; EXCHANGE holds params.npz (parameters by name) and
videos.npz (uint8 videos [B, T, H, W, 3]). The command writes
FOLDER/state_dict.pt, runs it with FOLDER/rvm_torch.py, and writes the features
of each video to EXCHANGE/features.npz.
"""

import os
import sys

import numpy as np
import torch


def main(folder: str, exchange: str):
  """Writes the state_dict in `folder` and the features in `exchange`."""
  path = os.path.join(folder, 'state_dict.pt')
  with np.load(os.path.join(exchange, 'params.npz')) as params:
    torch.save({k: torch.from_numpy(params[k]) for k in params.files}, path)

  # The exported copy of rvm_torch is imported, not the one of this package,
  # and leaves no compiled file in the export.
  sys.path.insert(0, folder)
  sys.dont_write_bytecode = True
  import rvm_torch

  model = rvm_torch.load(path)
  with (
      np.load(os.path.join(exchange, 'videos.npz')) as videos,
      torch.inference_mode(),
  ):
    features = [
        model(torch.from_numpy(videos[k]))[0].numpy() for k in videos.files
    ]
  np.savez(os.path.join(exchange, 'features.npz'), *features)


if __name__ == '__main__':
  main(*sys.argv[1:])
