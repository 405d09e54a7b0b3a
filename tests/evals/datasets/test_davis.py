"""Tests which videos of DAVIS are listed, in both layouts."""

from rvm_jax.evals.datasets import davis as davis_lib
from rvm_jax.evals.datasets import davis_prepared


def test_read_lists_the_validation_videos_in_their_order(davis):
  root, _ = davis
  names = root / 'ImageSets/2017/val.txt'
  names.write_text('pigs\n\nbear\n')
  videos = davis_lib.read(str(root))
  assert [video.name for video in videos] == ['pigs', 'bear']
  assert videos[0].files[0] == str(root / 'JPEGImages/480p/pigs/00000.jpg')


def test_read_opens_a_prepared_folder_as_such(tmp_path, monkeypatch):
  (tmp_path / 'dataset_info.json').write_text('{}')
  monkeypatch.setattr(davis_prepared, 'read', lambda folder: ['read', folder])
  assert davis_lib.read(str(tmp_path)) == ['read', str(tmp_path)]
