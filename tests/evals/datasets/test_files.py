"""Tests what is read and listed in a data set's folder, and the errors."""

import io

import numpy as np
from PIL import Image
import pytest

from rvm_jax.evals.datasets import files

SOURCE = 'Download it from https://example.org.'


def make_image(mode, size=(5, 4)):
  """Returns an image of random grey values or colours."""
  shape = (*size[::-1], 3) if mode == 'RGB' else size[::-1]
  pixels = np.random.default_rng(0).integers(0, 9, shape, np.uint8)
  image = Image.fromarray(pixels)
  if mode == 'P':
    image.putpalette(range(27))
  return image, pixels


def test_read_lines_leaves_out_empty_lines_and_outer_spaces(tmp_path):
  path = tmp_path / 'names.txt'
  path.write_text(' one two \n\n  \nthree')
  assert files.read_lines(str(path), SOURCE) == ['one two', 'three']


def test_read_json_returns_the_content_or_names_the_file(tmp_path):
  path = tmp_path / 'labels.json'
  path.write_text('{"a": [1]}')
  assert files.read_json(str(path), SOURCE) == {'a': [1]}
  path.write_text('{"a": [1}')
  with pytest.raises(ValueError, match=f'{path} is not JSON'):
    files.read_json(str(path), SOURCE)


@pytest.mark.parametrize('read', [files.read_lines, files.read_json])
def test_readers_say_where_a_missing_file_can_be_downloaded(read, tmp_path):
  path = str(tmp_path / 'nothing')
  with pytest.raises(FileNotFoundError, match=f'{path} is missing. {SOURCE}'):
    read(path, SOURCE)


def test_list_files_sorts_the_files_with_a_suffix(tmp_path):
  for name in ('2.jpg', '10.jpg', '1.png', '1.jpg'):
    (tmp_path / name).touch()
  found = files.list_files(str(tmp_path), '.jpg', SOURCE)
  assert found == [str(tmp_path / n) for n in ('1.jpg', '10.jpg', '2.jpg')]
  with pytest.raises(FileNotFoundError, match=f'no .mp4 files. {SOURCE}'):
    files.list_files(str(tmp_path), '.mp4', SOURCE)
  with pytest.raises(FileNotFoundError, match=f'missing. {SOURCE}'):
    files.list_files(str(tmp_path / 'nothing'), '.jpg', SOURCE)


def test_find_by_stem_searches_all_folders_below(tmp_path):
  for name in ('a.mp4', 'x/b.webm', 'x/y/c.d.mp4', 'x/e.txt'):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
  found = files.find_by_stem(str(tmp_path), ('.mp4', '.webm'))
  names = {'a': 'a.mp4', 'b': 'x/b.webm', 'c.d': 'x/y/c.d.mp4'}
  assert found == {stem: str(tmp_path / name) for stem, name in names.items()}
  assert files.find_by_stem(str(tmp_path / 'nothing'), ('.mp4',)) == {}


def test_check_pairs_names_the_first_five_that_are_missing():
  frames = [f'frames/{i}.jpg' for i in range(8)]
  masks = [f'masks/{i}.png' for i in range(8)]
  files.check_pairs(frames, masks, SOURCE)
  expected = r'8 frames and 2 annotations: masks lacks the annotations 0, 1, 2,'
  with pytest.raises(FileNotFoundError, match=rf'{expected} 3, 4, \.\.\..'):
    files.check_pairs(frames, masks[6:], SOURCE)
  with pytest.raises(FileNotFoundError, match='frames lacks the frames 7.'):
    files.check_pairs(frames[:7], masks, SOURCE)


@pytest.mark.parametrize('mode', ['RGB', 'L', 'P'])
def test_read_frames_turns_images_into_colours(mode, tmp_path):
  image, _ = make_image(mode)
  image.save(tmp_path / '0.png')
  frames = files.read_frames([str(tmp_path / '0.png')] * 2)
  assert frames.dtype == np.uint8 and frames.shape == (2, 4, 5, 3)
  np.testing.assert_array_equal(frames[1], image.convert('RGB'))


@pytest.mark.parametrize('mode', ['L', 'P'])
def test_read_masks_returns_numbers_instead_of_colours(mode, tmp_path):
  image, pixels = make_image(mode)
  image.save(tmp_path / '0.png')
  masks = files.read_masks([str(tmp_path / '0.png')] * 2)
  assert masks.dtype == np.uint8
  np.testing.assert_array_equal(masks, [pixels, pixels])


def test_readers_of_images_name_a_file_of_another_size_or_mode(tmp_path):
  paths = [str(tmp_path / f'{i}.png') for i in range(2)]
  make_image('RGB')[0].save(paths[0])
  make_image('RGB', (6, 4))[0].save(paths[1])
  with pytest.raises(ValueError, match=rf'{paths[1]} has \(4, 6\) pixels'):
    files.read_frames(paths)
  with pytest.raises(ValueError, match=f'{paths[0]} must be .* got RGB'):
    files.read_masks(paths[:1])


def test_readers_of_images_accept_open_files_and_name_them():
  data = io.BytesIO()
  image, pixels = make_image('L')
  image.save(data, 'PNG')
  np.testing.assert_array_equal(files.read_masks([data]), [pixels])
  broken = io.BytesIO(data.getvalue()[:20])
  broken.name = 'frame 3 of goat'
  with pytest.raises(ValueError, match='frame 3 of goat cannot be read'):
    files.read_frames([broken])
