"""The search for settings, on made-up costs."""

from rvm_jax.training.plan import search
from tests import tiny

SECONDS = {'none': 1.0, 'dots': 1.1, 'full': 1.3}
BYTES = {'none': 100, 'dots': 50, 'full': 10}


def estimate(settings):
  """Divides activations by num_microbatches, and 40 bytes of state by fsdp."""
  activations = BYTES[settings.remat] / settings.num_microbatches
  seconds = SECONDS[settings.remat] + 0.01 * (settings.num_microbatches - 1)
  seconds += 0.001 * (settings.fsdp > 1)
  return search.Estimate(int(activations + 40 / settings.fsdp), seconds)


SETTINGS = search.list_settings(SECONDS, 64, 8, 4)


def test_list_settings_divides_rows_and_slice():
  assert len(SETTINGS) == len(set(SETTINGS)) == 3 * 3 * 4
  assert {x.fsdp for x in SETTINGS} == {1, 2, 4}
  assert {x.num_microbatches for x in SETTINGS} == {1, 2, 4, 8}


def test_rank_begins_with_the_fastest_that_fits():
  assert search.rank(SETTINGS, estimate, 140)[0] == ('none', 1, 1)
  assert search.rank(SETTINGS, estimate, 139)[0] == ('none', 4, 1)
  assert search.rank(SETTINGS, estimate, 60)[0] == ('none', 4, 2)
  assert search.rank(SETTINGS, estimate, 11)[0] == ('full', 4, 8)


def test_rank_agrees_with_trying_all():
  for limit in range(0, 150, 7):
    found = search.rank(SETTINGS, estimate, limit)
    fitting = [x for x in SETTINGS if estimate(x).num_bytes <= limit]
    assert set(found) == set(fitting)
    times = [estimate(x).seconds for x in found]
    assert times == sorted(times)


def test_smallest_is_what_remains_if_nothing_fits():
  assert search.rank(SETTINGS, estimate, 5) == []
  settings, least = search.smallest(SETTINGS, estimate)
  assert settings == ('full', 4, 8)
  assert least.num_bytes == 11


def test_apply_changes_a_copy():
  config = tiny.get_config()
  changed = search.apply(search.Settings('full', 2, 4), config)
  assert search.of_config(changed) == ('full', 2, 4)
  assert search.of_config(config) == ('none', 1, 1)


def test_settings_read_as_flags():
  assert str(search.Settings('dots', 8, 2)) == (
      '--config.model.remat=dots --config.fsdp=8 --config.num_microbatches=2'
  )
