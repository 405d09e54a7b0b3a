"""Which module reads a video that is made of pictures."""

from rvm_jax.data.video import pictures


def test_kinds_of_pictures_are_told_apart(tmp_path):
  assert pictures.module_of(str(tmp_path)).__name__.endswith('sequences')
  assert pictures.module_of('tfds:/a/b/c-0').__name__.endswith('prepared')
  assert pictures.module_of(str(tmp_path / 'a.mp4')) is None
