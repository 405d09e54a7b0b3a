"""Stores survive interruption at any step, and open in other libraries."""

import fcntl
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorstore

from rvm_jax.storage import arrays

# Numbers of frames in the chunks; the last chunk is not full.
LENGTHS = (4, 4, 3)
ARRAYS = {
    'patches': ((2, 3), 'float32'),
    'half': ((5,), 'float16'),
    'timestamps': ((), 'float64'),
    'number': ((), 'int32'),
    'is_seen': ((2,), 'bool'),
}
rng = np.random.default_rng(0)
EXPECTED = {
    name: rng.normal(0, 2, (sum(LENGTHS), *shape)).astype(dtype)
    for name, (shape, dtype) in ARRAYS.items()
}


class Killed(BaseException):
  """Stands for the end of the process."""


def open_it(path, **settings):
  """Opens or creates the store of the tests."""
  return arrays.open_or_create(
      str(path), {'key': [1, 2]} | settings, {'where': 'here'}, 4, ARRAYS
  )


def fill(path):
  """Writes what is missing in a store; `carried` counts the frames written."""
  store = open_it(path)
  if store.is_complete:
    return
  assert (store.carried is None) == (store.num_frames == 0)
  assert store.num_frames == (store.carried or 0)
  for length in LENGTHS[store.num_frames // 4 :]:
    stop = store.num_frames + length
    part = {k: x[store.num_frames : stop] for k, x in EXPECTED.items()}
    store.append(part, carried=np.array(stop))
  store.finish({'notes': []})


def contents(path):
  """Returns the bytes of each file in a folder."""
  return {
      str(file.relative_to(path)): file.read_bytes()
      for file in sorted(pathlib.Path(path).rglob('*'))
      if file.is_file()
  }


@pytest.fixture
def whole(tmp_path):
  """Path of a complete store."""
  fill(tmp_path / 'whole.zarr')
  return tmp_path / 'whole.zarr'


def test_arrays_are_read_as_they_were_written(whole):
  for name, expected in EXPECTED.items():
    spec = {'driver': 'zarr', 'kvstore': f'file://{whole}/{name}/'}
    found = tensorstore.open(spec).result().read().result()
    assert found.dtype == expected.dtype and np.array_equal(found, expected)
  # The file of a chunk holds the bytes of the array.
  second = np.fromfile(whole / 'patches' / '1.0.0', '<f4').reshape(4, 2, 3)
  assert np.array_equal(second, EXPECTED['patches'][4:8])
  attributes = json.loads((whole / '.zattrs').read_text())
  assert attributes['complete'] and attributes['num_frames'] == 11
  assert attributes['where'] == 'here' and attributes['key'] == [1, 2]


def test_read_gives_a_frame_or_a_slice_of_all_arrays(whole):
  store = open_it(whole)
  for frames in (9, slice(2, 6), slice(0, 0)):
    found = store.read(frames)
    assert found.keys() == EXPECTED.keys()
    for name, expected in EXPECTED.items():
      assert found[name].dtype == expected.dtype
      np.testing.assert_array_equal(found[name], expected[frames])


def test_store_opens_in_zarr_python(whole):
  zarr = pytest.importorskip('zarr')
  group = zarr.open(str(whole), mode='r')
  for name, expected in EXPECTED.items():
    assert np.array_equal(group[name][:], expected)
  assert group.attrs['complete'] is True


def test_store_killed_at_any_step_is_continued_to_the_same_bytes(
    tmp_path, whole, monkeypatch
):
  expected = contents(whole)
  # Stop at the count-th of these calls, for every count until none is left.
  calls = {
      'os.replace': os.replace,
      'os.rename': os.rename,
      'os.remove': os.remove,
      'numpy.savez': np.savez,
  }
  todo, num_kills = -1, 0

  def patched(call):
    def wrapper(*args, **kwargs):
      nonlocal todo
      todo -= 1
      if todo == 0:
        raise Killed
      return call(*args, **kwargs)

    return wrapper

  for name, call in calls.items():
    monkeypatch.setattr(name, patched(call))
  for count in range(1, 1000):
    path = tmp_path / f'killed_{count}.zarr'
    todo = count
    try:
      fill(path)
    except Killed:
      num_kills += 1
    else:
      break
    finally:
      todo = -1
    fill(path)
    # Opening it once more removes what a kill within `finish` may have left.
    fill(path)
    assert contents(path) == expected, count
  assert num_kills > 8


def test_chunks_that_are_not_recorded_are_written_again(tmp_path, whole):
  path = tmp_path / 'killed.zarr'
  store = open_it(path)
  store.append({k: x[:4] for k, x in EXPECTED.items()}, np.array(4))
  recorded = (path / 'unfinished.npz').read_bytes()
  store.append({k: x[:4] for k, x in EXPECTED.items()}, np.array(8))
  (path / 'unfinished.npz').write_bytes(recorded)
  # The lock ends with the object, as it would with its process.
  del store
  fill(path)
  assert contents(path) == contents(whole)


def test_complete_store_is_not_written_again(whole):
  times = {p: p.stat().st_mtime_ns for p in whole.rglob('*')}
  fill(whole)
  assert times == {p: p.stat().st_mtime_ns for p in whole.rglob('*')}
  assert open_it(whole).num_frames == 11


def test_store_with_other_settings_is_refused(whole):
  with pytest.raises(ValueError, match=r'key: saved \[1, 2\], now \[3\]'):
    open_it(whole, key=[3])
  with pytest.raises(ValueError, match='chunk: saved 4, now 8'):
    arrays.open_or_create(str(whole), {'key': [1, 2]}, {}, 8, ARRAYS)


def test_folder_that_is_not_a_store_is_refused_and_kept(tmp_path, whole):
  (tmp_path / 'other.zarr').mkdir()
  with pytest.raises(ValueError, match='not a store of features'):
    open_it(tmp_path / 'other.zarr')
  (tmp_path / 'other.zarr' / '.zattrs').write_text('{"a": 1}')
  with pytest.raises(ValueError, match='not a store of features'):
    open_it(tmp_path / 'other.zarr')
  assert contents(tmp_path / 'other.zarr') == {'.zattrs': b'{"a": 1}'}


def test_chunks_that_cannot_be_written_are_not_recorded(tmp_path):
  store = open_it(tmp_path / 'a.zarr')
  store.append({k: x[:4] for k, x in EXPECTED.items()}, np.array(4))
  shutil.rmtree(tmp_path / 'a.zarr' / 'half')
  (tmp_path / 'a.zarr' / 'half').write_text('in the way')
  with pytest.raises(OSError, match='a.zarr/half'):
    store.append({k: x[4:8] for k, x in EXPECTED.items()}, np.array(8))
  assert store.num_frames == 4
  with np.load(tmp_path / 'a.zarr' / 'unfinished.npz') as progress:
    assert progress['num_frames'] == progress['carried'] == 4


def test_second_writer_is_refused(tmp_path):
  first = open_it(tmp_path / 'store')
  with pytest.raises(ValueError, match='being written by another process'):
    open_it(tmp_path / 'store')
  del first
  open_it(tmp_path / 'store')


def test_store_can_be_locked_on_network_disks(tmp_path, monkeypatch):
  # NFS turns `flock` into such locks of ranges, which need a file that is open
  # for writing.
  monkeypatch.setattr(fcntl, 'flock', fcntl.lockf)
  fill(tmp_path / 'store')
  assert open_it(tmp_path / 'store').is_complete


def test_cast_refuses_values_that_the_dtype_cannot_hold():
  values = np.float32([0.5, -60000])
  half = arrays.cast(values, 'float16')
  assert half.dtype == np.float16
  np.testing.assert_array_equal(half, values.astype(np.float16))
  for bad in (70000, np.inf, np.nan):
    with pytest.raises(ValueError, match='not finite numbers in float16'):
      arrays.cast(np.float32([0.5, bad]), 'float16')
  assert arrays.cast(np.float32([70000]), 'float32') == 70000
