"""Small video data sets, written in the layouts of the real ones.

The colour of a pixel encodes its position: red is 4 x, green is 5 y, and blue
is 8 times the number of the frame. So the pixels of any crop of any frame can
be checked.
"""

from collections.abc import Callable
import csv
import fractions
import io
import json
import pathlib

import av
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
NUM_FRAMES = 24
# Numbers of the classes by their names.
SSV2 = {'Pushing something left': '1', 'Moving something': '0'}
# Names of the classes, whose numbers are 1 and 0.
KINETICS = 'yoga (easy)', 'abseiling'


def draw(number: int) -> np.ndarray:
  """Returns frame `number`, uint8 [48, 64, 3]."""
  y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
  return np.stack([4 * x, 5 * y, np.full_like(x, 8 * number)], -1).astype(
      np.uint8
  )


def locate(pixels: np.ndarray) -> np.ndarray:
  """Returns the positions (x, y, frame), float [..., 3], that pixels encode."""
  return pixels / np.array([4, 5, 8])


def write_video(
    path: pathlib.Path,
    num_frames: int = NUM_FRAMES,
    rate: int = 12,
    draw_frame: Callable[[int], np.ndarray] = draw,
):
  """Writes a video, VP9 for the suffix .webm and H.264 for .mp4.

  Args:
    path: path of the file; its folder is created.
    num_frames: number of frames.
    rate: frames per second.
    draw_frame: function that returns a frame, uint8 [48, 64, 3], by its number.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  codec, options = {
      '.webm': (
          'libvpx-vp9',
          {'crf': '5', 'b:v': '0', 'deadline': 'realtime', 'cpu-used': '8'},
      ),
      '.mp4': ('libx264', {'crf': '5', 'preset': 'ultrafast'}),
  }[path.suffix]
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=rate, options=options)
    stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, 'yuv444p'
    stream.codec_context.time_base = fractions.Fraction(1, rate)
    for number in range(num_frames):
      frame = av.VideoFrame.from_ndarray(draw_frame(number))
      frame.pts, frame.time_base = number, fractions.Fraction(1, rate)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_ssv2(root: pathlib.Path):
  """Writes four training and two validation videos of two classes."""
  root.mkdir(parents=True, exist_ok=True)

  def write_json(name, contents):
    path = root / f'something-something-v2-{name}.json'
    path.write_text(json.dumps(contents))

  write_json('labels', SSV2)
  templates = 'Moving [something]', 'Pushing [something] left'
  for split, ids in {'train': '1234', 'validation': '56'}.items():
    entries = [
        {
            'id': i,
            'label': 'moving a cup',
            'template': templates[int(i) % 2],
            'placeholders': ['a cup'],
        }
        for i in ids
    ]
    write_json(split, entries)
    for i in ids:
      write_video(root / '20bn-something-something-v2' / f'{i}.webm')


def write_kinetics(root: pathlib.Path):
  """Writes four training and two validation videos of two classes."""
  for split, count in {'train': 4, 'val': 2}.items():
    rows = [
        {
            'label': KINETICS[i % 2],
            'youtube_id': f'-a_{split}{i}',
            'time_start': 7 * i,
            'time_end': 7 * i + 10,
            'split': {'val': 'validate'}.get(split, split),
        }
        for i in range(count)
    ]
    for row in rows:
      start, end = row['time_start'], row['time_end']
      name = f'{row["youtube_id"]}_{start:06d}_{end:06d}.mp4'
      write_video(root / split / row['label'] / name)
    (root / 'annotations').mkdir(exist_ok=True)
    with open(root / f'annotations/{split}.csv', 'w', newline='') as f:
      writer = csv.DictWriter(f, rows[0])
      writer.writeheader()
      writer.writerows(rows)


def write_clips(root: pathlib.Path):
  """Writes folders of two classes, plain and inverted, with ten videos each."""
  for number in range(10):
    write_video(root / f'plain/{number}.mp4', num_frames=8)
    write_video(
        root / f'inverted/{number}.mp4',
        num_frames=8,
        draw_frame=lambda t: 255 - draw(t),
    )


def share(number: int, frame: int) -> tuple[float, float]:
  """Returns where point or box `number` is in a frame.

  Returns:
    (x, y) as shares of width and height.
  """
  x = 0.15 + 0.2 * number + 0.005 * frame
  return x % 1, (0.2 + 0.15 * number + 0.01 * frame) % 1


def write_perception_test(root: pathlib.Path):
  """Writes a video for each split, with three points.

  The last point is occluded in frames 9 and 13.
  """
  for split in ('train', 'valid'):
    name = f'video_{split}'
    write_video(root / f'point_tracking_{split}_videos/videos/{name}.mp4')
    tracks = []
    for number in range(3):
      frames = [t for t in range(NUM_FRAMES) if number < 2 or t not in (9, 13)]
      x, y = np.transpose([share(number, frame) for frame in frames])
      tracks.append(
          {
              'id': number,
              'label': 'cup',
              'parent_objects': [],
              'frame_ids': frames,
              'points': [y.tolist(), x.tolist()],
          }
      )
    metadata = {
        'split': split,
        'video_id': name,
        'frame_rate': 12.0,
        'num_frames': NUM_FRAMES,
        'resolution': [HEIGHT, WIDTH],
    }
    (root / f'point_tracking_{split}.json').write_text(
        json.dumps({name: {'metadata': metadata, 'point_tracking': tracks}})
    )


def write_waymo(root: pathlib.Path):
  """Writes a segment for each split, with two cameras and two objects.

  Object 1 leaves after frame 17. Images of camera 1 have 48 rows, those of
  camera 2 only the first 40.
  """
  import pyarrow
  from pyarrow import parquet

  for split in ('training', 'validation'):
    images, boxes = [], []
    # Rows come in an order of neither cameras nor times.
    for t in np.random.default_rng(0).permutation(NUM_FRAMES).tolist():
      for camera in (2, 1):
        key = {
            'key.segment_context_name': split,
            'key.frame_timestamp_micros': 1_500_000 + 100_000 * t,
            'key.camera_name': camera,
        }
        file = io.BytesIO()
        drawn = Image.fromarray(draw(t)[: {1: 48, 2: 40}[camera]])
        drawn.save(file, 'JPEG', quality=95, subsampling=0)
        image = {'[CameraImageComponent].image': file.getvalue()}
        images.append(key | image)
        for number in range(2 if t < 18 else 1):
          x, y = share(number, t)
          boxes.append(
              key
              | {
                  'key.camera_object_id': f'{camera}-{number}',
                  '[CameraBoxComponent].box.center.x': x * WIDTH,
                  '[CameraBoxComponent].box.center.y': y * HEIGHT,
                  '[CameraBoxComponent].box.size.x': 16.0 + 4 * number,
                  '[CameraBoxComponent].box.size.y': 12.0,
                  '[CameraBoxComponent].type': 1,
              }
          )
    for name, rows in (('camera_image', images), ('camera_box', boxes)):
      path = root / split / name / 'segment-1.parquet'
      path.parent.mkdir(parents=True)
      table = pyarrow.Table.from_pylist(rows)
      parquet.write_table(table, path, row_group_size=10)


def write_scannet(root: pathlib.Path):
  """Writes a scan for each split, with depth maps of half the size.

  The depth is 1 m, plus 1 cm times x, plus 10 cm times the number of the frame.
  The first row of the map is unknown.
  """
  for split, name in (('train', 'scene0000_00'), ('val', 'scene0011_01')):
    folder = root / 'scans' / name
    for kind in ('color', 'depth'):
      (folder / kind).mkdir(parents=True)
    (root / f'scannetv2_{split}.txt').write_text(f'{name}\n')
    for t in range(NUM_FRAMES):
      Image.fromarray(draw(t)).save(
          folder / f'color/{t}.jpg', quality=95, subsampling=0
      )
      x = 2 * np.arange(WIDTH // 2) + 1
      depth = np.tile(1000 + 100 * t + 10 * x, (HEIGHT // 2, 1))
      depth[0] = 0
      Image.fromarray(depth.astype(np.uint16)).save(folder / f'depth/{t}.png')
