"""Every damaged record of a packed set is found and named."""

import pytest

from rvm_jax.data import check
from rvm_jax.data.shards import catalog
from rvm_jax.data.shards import damage as damage_lib
from tests.data.shards import test_source


def test_whole_set_has_no_damage(packed_once, capsys):
  assert not list(damage_lib.find(catalog.read(str(packed_once))))
  assert check.main([str(packed_once)]) == 0
  out = capsys.readouterr().out
  assert '3 good, 0 bad' in out and '42 frames' in out
  assert '64x48' in out
  assert check.main(['--min_frames=11', str(packed_once)]) == 1
  assert 'bear from frame 0: too short: 10 frames' in capsys.readouterr().out


def test_damaged_records_and_their_shards_are_listed(packed, capsys):
  place = test_source.damage(packed, 'bear')
  assert check.main([str(packed)]) == 1
  lines = capsys.readouterr().out.splitlines()
  bad = [line for line in lines if line.startswith('bad ')]
  assert len(bad) == 2
  assert place in bad[0] and 'hash mismatch' in bad[0]
  shard = place.split(',')[0]
  assert f'{shard}: expected the SHA-256' in bad[1]
  assert '2 good, 2 bad' in lines


def test_wrong_checksum_in_a_sound_record_is_found(packed_once):
  found = catalog.read(str(packed_once))
  assert not list(damage_lib.find(found))
  found.checksums[2] ^= 1
  ((clip, reason),) = damage_lib.find(found)
  assert clip == 2 and 'not the clip' in reason


@pytest.mark.parametrize('name', ['rvm_clips.json', 'clips-00000-of-00002.csv'])
def test_set_that_cannot_be_used_ends_the_check(packed, name, capsys):
  (packed / name).unlink()
  assert check.main([str(packed)]) == 2
  assert 'error: ' in capsys.readouterr().err
