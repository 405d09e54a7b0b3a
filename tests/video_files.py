"""Small videos made on the spot."""

import fractions

import av
import numpy as np


def picture(number, height, width):
  """A texture that moves with `number`, with a patch of noise of its own."""
  y, x = np.mgrid[:height, :width]
  image = np.stack(
      [
          128 + 90 * np.sin((x + 2 * number) / 7),
          128 + 90 * np.cos((y - number) / 5),
          (3 * x + 5 * y + 4 * number) % 256,
      ],
      axis=-1,
  ).astype(np.uint8)
  noise = np.random.default_rng(number).integers(0, 256, (16, 16, 3))
  image[8:24, 8:24] = noise
  return image


def write_video(
    path,
    num_frames=60,
    codec='libx264',
    height=64,
    width=96,
    rate=25,
    options=None,
    times=None,
    pix_fmt='yuv420p',
):
  """Writes a video; `times` are the frames' times in units of 1 / rate."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=rate, options=options or {})
    stream.height, stream.width, stream.pix_fmt = height, width, pix_fmt
    stream.codec_context.time_base = fractions.Fraction(1, rate)
    for number in range(num_frames):
      frame = av.VideoFrame.from_ndarray(picture(number, height, width))
      frame.pts = number if times is None else times[number]
      frame.time_base = fractions.Fraction(1, rate)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return str(path)
