"""Tests that rvm_torch.py gives the released features without this project."""

import subprocess
import sys

import numpy as np
import pytest

from rvm_jax.weights import released

pytest.importorskip('torch')

# Runs in the exported folder and uses nothing but its two files.
USE_TORCH = """
import sys
import numpy as np
import rvm_torch
import torch

io, params, found = np.load(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3]
model = rvm_torch.load('state_dict.pt')
for name, tensor in model.state_dict().items():
  array = params[name.replace('.', '/')]
  assert tensor.numpy().tobytes() == array.tobytes(), name
  assert tensor.shape == array.shape, name
with torch.inference_mode():
  features, state = model(torch.from_numpy(io['source']))
  video = torch.from_numpy(io['stream_video'])[None]
  first, carried = model(video[:, :1])
  rest, _ = model(video[:, 1:], carried)
  pixels = torch.randint(0, 256, (1, 1, 32, 32, 3), dtype=torch.uint8)
  assert torch.equal(model(pixels)[1], model(pixels.float() / 255)[1])
try:
  model(video[:, :, :20])
except ValueError as error:
  print(error)
np.savez(
    found,
    names=np.array(sorted(model.state_dict())),
    features=features.numpy(),
    state=state.numpy(),
    stream_features=torch.cat([first, rest], 1)[0].numpy(),
)
print(*sorted({name.split('.')[0] for name in sys.modules}))
"""


def test_rvm_gives_the_released_features_in_parts_and_from_uint8(
    tmp_path, tiny, golden_io, run
):
  out = tmp_path / 'out'
  assert run(tiny, '--to', 'torch', '--out', out) == 0
  assert sorted(p.name for p in out.iterdir()) == [
      'rvm_torch.py',
      'state_dict.pt',
  ]
  found = tmp_path / 'found.npz'
  done = subprocess.run(
      [sys.executable, '-c', USE_TORCH, golden_io, tiny, found],
      cwd=out,
      capture_output=True,
      text=True,
  )
  assert done.returncode == 0, done.stderr
  refused, modules = done.stdout.splitlines()
  assert 'multiples of 16, got 20, 304' in refused
  assert not {'jax', 'flax', 'rvm_jax'} & set(modules.split())
  found = dict(np.load(found))
  names = {name.replace('.', '/') for name in found.pop('names')}
  all_names = np.load(tiny).files
  assert names == {key for key in all_names if not released.is_decoder(key)}
  golden = np.load(golden_io)
  for key, array in found.items():
    np.testing.assert_allclose(array, golden[key], rtol=0, atol=1e-5)
