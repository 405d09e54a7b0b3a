"""Folders of pictures: which files are frames, their order and their pixels."""

import fractions
import os

import av
import numpy as np
from PIL import Image
from PIL import ImageOps
import pytest

from rvm_jax.data.video import reader
from rvm_jax.data.video import sequences
from tests import video_files

FRAMES = [video_files.picture(number, 24, 32) for number in range(12)]


def decode(image, folder, name='0.png', **options):
  """Returns the pixels of an image that was saved in a folder."""
  image.save(folder / name, **options)
  return sequences.decode(str(folder), name)


@pytest.mark.parametrize('name', ['{:05d}.png', 'img_{}.webp', 'f-{}.rgb.PNG'])
def test_frames_are_the_pictures_in_the_order_of_their_numbers(tmp_path, name):
  folder = str(tmp_path)
  for number, frame in enumerate(FRAMES):
    # Numbers begin at 4, and 6 is missing.
    path = tmp_path / name.format(number + 4 + (number > 1))
    Image.fromarray(frame).save(path, lossless=True)
  for other in ('cover.png', '._5.png', '7.txt', '8.pgm'):
    (tmp_path / other).write_bytes(b'no frame')
  contents = reader.scan(folder)
  assert (contents.num_frames, contents.frame_rate) == (12, 25.0)
  assert (contents.height, contents.width) == (24, 32)
  numbers = [9, 0, 11, 9]
  found = reader.read(folder, contents, numbers)
  assert found.dtype == np.uint8
  assert np.array_equal(found, np.stack(FRAMES)[numbers])
  with pytest.raises(IndexError):
    reader.read(folder, contents, [12])


def test_only_the_frames_that_are_asked_for_are_decoded(tmp_path, monkeypatch):
  folder = video_files.write_folder(tmp_path, FRAMES)
  contents = reader.scan(folder)
  decoded, decode_one = [], sequences.decode

  def count(folder, name):
    decoded.append(name)
    return decode_one(folder, name)

  monkeypatch.setattr(sequences, 'decode', count)
  reader.read(folder, contents, [7, 2, 7])
  assert decoded == ['00002.png', '00007.png']


@pytest.mark.parametrize(
    'names, expected',
    [
        (['1.jpg', '2.jpg'], True),
        (['frame-000000.color.jpg', 'frame-000001.color.jpg', 'a.txt'], True),
        (['1.jpg'], False),
        (['1.jpg', '.2.jpg'], False),
        (['a.jpg', 'b.jpg', '1.txt', '2.txt'], False),
        ([], False),
    ],
)
def test_two_numbered_pictures_are_a_sequence(names, expected):
  assert sequences.is_sequence(iter(names)) == expected


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGBA', 'CMYK'])
def test_pictures_of_8_bits_become_rgb_without_transparency(tmp_path, mode):
  colours = Image.fromarray(FRAMES[3])
  if mode == 'CMYK':
    found = decode(colours.convert(mode), tmp_path, '0.jpg', quality=100)
    assert np.abs(found - FRAMES[3].astype(int)).mean() < 20
    return
  image = colours.convert(mode)
  expected = np.asarray(image.convert('RGB'))
  options = {}
  if mode == 'P':
    options['transparency'] = bytes(range(256))
  elif mode in ('LA', 'RGBA'):
    image.putalpha(Image.fromarray(FRAMES[5][..., 0]))
  assert np.array_equal(decode(image, tmp_path, **options), expected)


def test_grey_depth_is_refused_and_deep_colours_keep_their_upper_bits(tmp_path):
  depth = Image.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32))
  with pytest.raises(reader.BrokenVideo, match='0.png: expected .* mode I;16'):
    decode(depth, tmp_path)
  deep = FRAMES[3].astype(np.uint16) << 8 | 0xFE
  encoder = av.CodecContext.create('png', 'w')
  encoder.pix_fmt, encoder.height, encoder.width = 'rgb48be', 24, 32
  encoder.time_base = fractions.Fraction(1, 25)
  frame = av.VideoFrame.from_ndarray(deep, 'rgb48be')
  packets = [*encoder.encode(frame), *encoder.encode(None)]
  (tmp_path / '1.png').write_bytes(b''.join(map(bytes, packets)))
  found = sequences.decode(str(tmp_path), '1.png')
  assert np.array_equal(found, FRAMES[3])


@pytest.mark.parametrize('orientation', range(1, 10))
def test_pictures_come_upright(tmp_path, orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  found = decode(Image.fromarray(FRAMES[3]), tmp_path, exif=exif)
  with Image.open(tmp_path / '0.png') as image:
    expected = np.asarray(ImageOps.exif_transpose(image))
  assert np.array_equal(found, expected)


def test_damaged_orientation_is_an_error(tmp_path):
  with pytest.raises(reader.BrokenVideo, match='0.png: not a TIFF file'):
    decode(Image.fromarray(FRAMES[3]), tmp_path, exif=b'no EXIF data')


@pytest.mark.parametrize(
    'name, content, reason',
    [
        ('00007.png', b'no picture', '00007.png is not a picture'),
        ('00007.png', b'', '00007.png is not a picture'),
        (
            '00007.png',
            FRAMES[7][:16],
            '00007.png has 32 x 16 pixels, expected 32 x 24',
        ),
        ('00007.png', None, '00007.png: No such file'),
        ('00007.jpg', FRAMES[7], r'00000.png and 00007.jpg; keep one'),
        ('b_7.png', FRAMES[7], r'00000.png and b_7.png; keep one'),
    ],
)
def test_one_bad_picture_is_named_and_makes_the_folder_bad(
    tmp_path, name, content, reason
):
  folder = video_files.write_folder(tmp_path, FRAMES)
  path = tmp_path / name
  if content is None:
    path.unlink()
    path.symlink_to(tmp_path / 'nothing')
  elif isinstance(content, bytes):
    path.write_bytes(content)
  else:
    Image.fromarray(content).save(path)
  with pytest.raises(reader.BrokenVideo, match=reason) as error:
    reader.scan(folder)
  assert error.value.path == folder and '\n' not in str(error.value)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
def test_truncated_pictures_are_bad(tmp_path, suffix):
  path = tmp_path / f'0{suffix}'
  Image.fromarray(FRAMES[3]).save(path)
  whole = path.read_bytes()
  for length in range(0, len(whole) - 20, len(whole) // 7):
    path.write_bytes(whole[:length])
    with pytest.raises(reader.BrokenVideo, match=f': 0{suffix}'):
      reader.scan(str(tmp_path))


def test_folder_that_is_not_as_it_was_indexed_is_broken(tmp_path):
  folder = video_files.write_folder(tmp_path, FRAMES)
  contents = reader.scan(folder)
  Image.fromarray(FRAMES[5][:16]).save(tmp_path / '00005.png')
  assert np.array_equal(reader.read(folder, contents, [4])[0], FRAMES[4])
  with pytest.raises(reader.BrokenVideo, match='00005.png has 32 x 16 pixels'):
    reader.read(folder, contents, [4, 5])
  os.remove(tmp_path / '00005.png')
  with pytest.raises(
      reader.BrokenVideo, match='expected 12 frames, as indexed'
  ):
    reader.read(folder, contents, [4])
  (tmp_path / 'empty').mkdir()
  with pytest.raises(reader.BrokenVideo, match='without numbered pictures'):
    reader.scan(str(tmp_path / 'empty'))
