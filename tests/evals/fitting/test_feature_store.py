"""Tests features on disk: rows, identity and interrupted extractions."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest

from rvm_jax.evals.fitting import feature_store
from tests.evals import tiny_examples

MODEL = tiny_examples.encoder()
SETTINGS = dict(dtype='float32', num_workers=0, max_bad_share=0.1)


def extract(path, records, model=MODEL, examples=None, **changes):
  """Extracts with SETTINGS, some of them changed."""
  identity = feature_store.identify(
      model, records, examples or {'sizes': (8, 16)}
  )
  return feature_store.extract(
      model, records, str(path), identity, **SETTINGS | changes
  )


def read_files(path):
  """Returns the bytes of all files in a folder, by relative path."""
  files = sorted(p for p in pathlib.Path(path).rglob('*') if p.is_file())
  return {str(p.relative_to(path)): p.read_bytes() for p in files}


def make_counting_encoder(fail_at=None):
  """Returns an encoder that notes the sizes of its batches.

  Args:
    fail_at: number of the call, from 1, that raises KeyboardInterrupt; None if
      no call does.

  Returns:
    The encoder, and a list to which each call appends its batch size.
  """
  batch_sizes = []

  def function(frames):
    batch_sizes.append(len(frames))
    if len(batch_sizes) == fail_at:
      raise KeyboardInterrupt
    return MODEL.function(frames)

  return dataclasses.replace(MODEL, function=function), batch_sizes


@pytest.mark.parametrize('num_workers', [0, 2])
def test_rows_are_the_readable_examples_in_order(tmp_path, num_workers):
  records = tiny_examples.records(41, broken={0, 17, 40})
  found = extract(tmp_path / 'a.zarr', records, num_workers=num_workers)
  assert found.skipped == ['clip 0', 'clip 17', 'clip 40']
  assert len(found) == 38
  good = [record for record in records if not record.is_broken]
  batches = list(found.batches(16))
  assert [len(batch['label']) for batch in batches] == [16, 16, 6]
  together = {
      key: np.concatenate([batch[key] for batch in batches])
      for key in batches[0]
  }
  assert together.keys() == {'features', 'number', 'label'}
  for number, record in enumerate(good):
    example = record.read(None)
    patches = MODEL.encode(example['frames'][None]).patches[0]
    # A row is the same, read in a batch or alone.
    for row in ({key: x[number] for key, x in together.items()}, found[number]):
      assert row['number'] == record.number
      assert row['label'] == example['label']
      np.testing.assert_array_equal(row['features'], patches.reshape(2, 2, 192))


def test_choose_limits_rows_to_the_named_ground_truth(tmp_path):
  whole = extract(tmp_path / 'a.zarr', tiny_examples.records(3))
  for names in ((), ('label',)):
    chosen = whole.choose(names)
    assert len(chosen) == 3 and chosen.skipped == []
    assert chosen[1].keys() == {'number', 'features', *names}
    (batch,) = chosen.batches(16)
    assert batch.keys() == chosen[1].keys()
    np.testing.assert_array_equal(batch['features'][1], whole[1]['features'])


def test_interrupted_extraction_continues_and_writes_the_same_bytes(tmp_path):
  records = tiny_examples.records(70, broken={3, 33, 69})
  model, batch_sizes = make_counting_encoder()
  extract(tmp_path / 'whole.zarr', records, model)
  assert batch_sizes == [16] * 5
  for stop in (1, 3, 5):
    path = tmp_path / f'{stop}.zarr'
    model, batch_sizes = make_counting_encoder(fail_at=stop)
    with pytest.raises(KeyboardInterrupt):
      extract(path, records, model)
    model, batch_sizes = make_counting_encoder()
    extract(path, records, model)
    assert len(batch_sizes) == 6 - stop
    assert read_files(path) == read_files(tmp_path / 'whole.zarr')


def test_extraction_killed_after_the_last_batch_is_completed(
    tmp_path, monkeypatch
):
  records = tiny_examples.records(5)
  with monkeypatch.context() as patch:
    patch.setattr(feature_store.arrays_lib.Store, 'finish', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      extract(tmp_path / 'a.zarr', records)
  model, batch_sizes = make_counting_encoder()
  assert len(extract(tmp_path / 'a.zarr', records, model)) == 5
  assert not batch_sizes


def test_complete_store_is_opened_without_reading_or_writing(tmp_path):
  records = tiny_examples.records(5)
  extract(tmp_path / 'a.zarr', records)
  before = read_files(tmp_path / 'a.zarr')
  model, batch_sizes = make_counting_encoder()
  broken = [dataclasses.replace(r, is_broken=True) for r in records]
  extract(tmp_path / 'a.zarr', broken, model)
  assert not batch_sizes and read_files(tmp_path / 'a.zarr') == before


@pytest.mark.parametrize('is_complete', [True, False])
def test_store_of_another_identity_is_rejected(tmp_path, is_complete):
  path, file = tmp_path / 'a.zarr', tmp_path / 'video'
  file.write_text('before')
  records = [tiny_examples.Record(i, (str(file),)) for i in range(40)]
  if is_complete:
    extract(path, records)
  else:
    with pytest.raises(KeyboardInterrupt):
      extract(path, records, make_counting_encoder(fail_at=2)[0])
  other = dataclasses.replace(MODEL, identity='0123')
  with pytest.raises(ValueError, match="encoder: saved 'raw:8, .* now '0123"):
    extract(path, records, other)
  with pytest.raises(
      ValueError,
      match=r'examples.sizes: saved \[8, 16\], now \[8, 9\]',
  ):
    extract(path, records, examples={'sizes': (8, 9)})
  with pytest.raises(ValueError, match="dtype: saved 'float32', now 'float16'"):
    extract(path, records, dtype='float16')
  with pytest.raises(ValueError, match="data: saved '40 .*, now '39 exampl"):
    extract(path, records[:-1])
  renamed = [*records[:-1], dataclasses.replace(records[0], number=77)]
  with pytest.raises(ValueError, match="data: saved '40 .*, now '40 examples"):
    extract(path, renamed)

  # Another size or modification time of a file makes another identity.
  changed = "data: saved '40 .*, now '40 examples"
  times = file.stat().st_atime_ns, file.stat().st_mtime_ns
  file.write_text('longer than before')
  os.utime(file, ns=times)
  with pytest.raises(ValueError, match=changed):
    extract(path, records)
  file.write_text('before')
  os.utime(file, ns=(times[0], times[1] + 1))
  with pytest.raises(ValueError, match=changed):
    extract(path, records)

  # With the size and time from before, the store is opened or completed.
  os.utime(file, ns=times)
  extract(path, records)


def test_features_too_large_for_float16_are_rejected(tmp_path):
  records = tiny_examples.records(3)
  float16 = extract(tmp_path / 'float16.zarr', records, dtype='float16')
  float16 = float16[0]['features']
  float32 = extract(tmp_path / 'float32.zarr', records)[0]['features']
  assert float16.dtype == np.float16
  np.testing.assert_allclose(float16, float32, atol=1e-3)

  def encode_large(frames):
    found = MODEL.function(frames)
    return found._replace(patches=1e6 * found.patches)

  large = dataclasses.replace(MODEL, function=encode_large)
  with pytest.raises(ValueError, match='not finite numbers in float16'):
    extract(tmp_path / 'large.zarr', records, large, dtype='float16')


def test_more_broken_records_than_max_bad_share_are_an_error(tmp_path):
  records = tiny_examples.records(40, broken={1, 2, 3, 20})
  extract(tmp_path / 'a.zarr', records)
  with pytest.raises(RuntimeError, match='4 of 40 .*=0.09: clip 1, clip 2, cl'):
    extract(tmp_path / 'b.zarr', records, max_bad_share=0.09)
  # Opening a complete store checks the share as well.
  with pytest.raises(RuntimeError, match='4 of 40 .*=0.09: clip 1, clip 2, cl'):
    extract(tmp_path / 'a.zarr', records, max_bad_share=0.09)
  all_broken = tiny_examples.records(2, broken={0, 1})
  with pytest.raises(RuntimeError, match='none of the 2 examples'):
    extract(tmp_path / 'c.zarr', all_broken, max_bad_share=1.0)
