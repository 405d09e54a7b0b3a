"""Writes videos of noise, and reads the stores of their features."""

import av
import numpy as np
import tensorstore

RATE = 25


def write_video(path, codec, num_frames, options=None):
  """Writes a video of 40 x 60 pixels whose content moves and brightens."""
  noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=RATE, options=options or {})
    stream.height, stream.width, stream.pix_fmt = 40, 60, 'yuvj420p'
    for number in range(num_frames):
      image = np.roll(noise, number, 1) // 2 + np.uint8(number % 100)
      container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    container.mux(stream.encode(None))


def decode(path):
  """Decodes all frames with PyAV alone, uint8 [T, H, W, 3]."""
  with av.open(str(path)) as container:
    return np.stack(
        [f.to_ndarray(format='rgb24') for f in container.decode(video=0)]
    )


def read(store, name):
  """Reads one array of a store with tensorstore alone."""
  spec = {'driver': 'zarr', 'kvstore': f'file://{store}/{name}/'}
  return tensorstore.open(spec).result().read().result()


def contents(store):
  """Returns the bytes of all files of a store by relative path."""
  return {
      str(file.relative_to(store)): file.read_bytes()
      for file in store.rglob('*')
      if file.is_file()
  }
