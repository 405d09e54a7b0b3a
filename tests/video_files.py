"""Small videos for the tests, and their frames by plain decoding."""

import fractions
import os

import av
import numpy as np
from PIL import Image


def picture(number, height, width):
  """Returns a picture that no other frame has, uint8 [height, width, 3].

  It is a texture that moves with `number`, with a patch of noise of its own.
  """
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
  """Writes a video and returns its path.

  Args:
    path: path of the file, whose suffix decides the container.
    num_frames: number of frames.
    codec: name of FFmpeg's encoder.
    height: height in pixels.
    width: width in pixels.
    rate: frames per second.
    options: options of the encoder.
    times: times of the frames in units of 1 / rate; None for 0, 1, 2 and so on.
    pix_fmt: pixel format.
  """
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


def write_folder(folder, frames, name='{:05d}.png'):
  """Writes frames as the pictures of a folder and returns the folder's path.

  Args:
    folder: path of the folder.
    frames: the frames, uint8 [H, W, 3] each.
    name: name of the file of a frame, with a place for its number.
  """
  os.makedirs(folder, exist_ok=True)
  for number, frame in enumerate(frames):
    path = os.path.join(folder, name.format(number))
    Image.fromarray(frame).save(path, compress_level=1)
  return str(folder)


def decode_all(path):
  """Returns all frames of a video, a list of uint8 [H, W, 3], by PyAV alone."""
  with av.open(str(path)) as container:
    stream = container.streams.video[0]
    return [f.to_ndarray(format='rgb24') for f in container.decode(stream)]


def list_packets(path):
  """Returns the packets of a video in the order of the file."""
  with av.open(str(path)) as container:
    return [packet for packet in container.demux(video=0) if packet.size]


def write_audio(path):
  """Writes a file with sound and without video."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('aac', rate=44100)
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, 1024), np.float32), format='fltp', layout='mono'
    )
    frame.sample_rate = 44100
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
