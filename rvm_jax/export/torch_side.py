"""What PyTorch does for `pytorch.write`, in a process without JAX.

  python -m rvm_jax.export.torch_side FOLDER EXCHANGE

Reads params.npz and videos.npz in EXCHANGE. Writes FOLDER/state_dict.pt, and
the features that the rvm_torch.py beside it gives: EXCHANGE/features.npz.
"""

import os
import sys

import numpy as np
import torch


def main(folder: str, exchange: str):
  path = os.path.join(folder, 'state_dict.pt')
  with np.load(os.path.join(exchange, 'params.npz')) as params:
    torch.save({k: torch.from_numpy(params[k]) for k in params.files}, path)

  sys.path.insert(0, folder)
  sys.dont_write_bytecode = True
  import rvm_torch  # What is exported, not what this package has.

  model = rvm_torch.load(path)
  with np.load(os.path.join(exchange, 'videos.npz')) as videos:
    with torch.inference_mode():
      features = [
          model(torch.from_numpy(videos[k]))[0].numpy() for k in videos.files
      ]
  np.savez(os.path.join(exchange, 'features.npz'), *features)


if __name__ == '__main__':
  main(*sys.argv[1:])
