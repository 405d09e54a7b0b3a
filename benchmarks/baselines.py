"""Measures the time and the memory that loading a rival's checkpoint takes.

    python benchmarks/baselines.py dinov2:large:original dinov2:base:original

Each argument is FAMILY:SIZE:LAYOUT. SIZE is small, base or large, and
`layouts.LAYOUTS` lists each FAMILY:LAYOUT. Without arguments all of these are
measured in the size large. For each argument a checkpoint with random numbers
is written to a temporary folder, in the layout of the published one. A new
process loads it by `rvm_jax.baselines.load`. The folder needs up to 2.5 GB.
Original layouts need PyTorch.

The table has the size of the file, the seconds of the call of `load` (the file
was just written, so that it is in the cache of the file system), and the peak
of the resident memory of the process above what it had before the call, with
all libraries imported. Resident memory includes the pages of the file that are
mapped at that time.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from absl import app
import layouts
import numpy as np
from safetensors import numpy as safetensors_numpy

_CHILD = """
import json, re, sys, time
from rvm_jax import baselines
if sys.argv[1].endswith('.pth'):
  import torch
def peak():
  # The peak that getrusage tells would start with the parent's memory.
  status = open('/proc/self/status').read()
  return 1024 * int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])
before, start = peak(), time.perf_counter()
baselines.load(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps([seconds, peak() - before]))
"""


def main(argv: list[str]):
  """Measures the checkpoints that the arguments name and prints a table."""
  names = argv[1:]
  if not names:
    names = [':large:'.join(key.split(':')) for key in layouts.LAYOUTS]
  print('| checkpoint | file, GB | seconds | peak, GB | peak / file |')
  print('|---|---|---|---|---|')
  for name in names:
    family, size, layout = name.split(':')
    with tempfile.TemporaryDirectory() as folder:
      path, num_bytes = write(pathlib.Path(folder), family, size, layout)
      done = subprocess.run(
          [sys.executable, '-c', _CHILD, str(path)],
          cwd=pathlib.Path(__file__).parents[1],
          stdout=subprocess.PIPE,
          check=True,
      )
    seconds, peak = json.loads(done.stdout)
    print(
        f'| {family} {size}, {layout} | {num_bytes / 1e9:.2f} | {seconds:.1f} |'
        f' {peak / 1e9:.2f} | {peak / num_bytes:.2f} |',
        flush=True,
    )


def write(
    folder: pathlib.Path, family: str, size: str, layout: str
) -> tuple[pathlib.Path, int]:
  """Writes a checkpoint with random numbers.

  Args:
    folder: an empty folder.
    family: 'dinov2', 'dinov3', 'videomae', 'vjepa' or 'vjepa2'.
    size: a key of `layouts.SIZES`.
    layout: 'original' or 'huggingface', as far as `layouts.LAYOUTS` has it.

  Returns:
    The path for `baselines.load`, and the bytes of the file of arrays.
  """
  rng = np.random.default_rng(0)
  arrays = {
      key: rng.standard_normal(shape, dtype=np.float32)
      for key, shape in layouts.list_shapes(f'{family}:{layout}', size).items()
  }
  if layout == 'original':
    # PyTorch is needed for this layout only.
    import torch

    path = file = folder / f'{family}.pth'
    # The dicts around the arrays are those of the published files.
    content = {k: torch.from_numpy(x) for k, x in arrays.items()}
    if family == 'videomae':
      content = {'model': content}
    if family in ('vjepa', 'vjepa2'):
      content = {f'module.backbone.{k}': x for k, x in content.items()}
      copy = {k: x.clone() for k, x in content.items()}
      content = {'encoder': copy, 'target_encoder': content, 'epoch': 1}
    torch.save(content, path)
  else:
    path, file = folder, folder / 'model.safetensors'
    config = json.dumps(layouts.make_config(family, size))
    (folder / 'config.json').write_text(config)
    safetensors_numpy.save_file(arrays, file)
  return path, file.stat().st_size


if __name__ == '__main__':
  app.run(main)
