"""Tests which videos of VIP are listed, and the names of their classes."""

from rvm_jax.evals.datasets import vip as vip_lib


def test_read_lists_the_validation_videos_in_their_order(vip):
  root, _ = vip
  names = root / 'lists/val_videos.txt'
  names.write_text('videos2\n\nvideos0\n')
  videos = vip_lib.read(str(root))
  assert [video.name for video in videos] == ['videos2', 'videos0']
  assert videos[0].files[0] == str(root / 'Images/videos2/00000.jpg')


def test_classes_are_twenty_with_the_background_first():
  assert len(set(vip_lib.CLASSES)) == 20
  assert vip_lib.CLASSES[0] == 'background'
