"""Small data sets in the layouts of the real ones; each test has its own."""

import pytest

from tests.evals import tiny_sets


@pytest.fixture
def davis(tmp_path):
  return tmp_path / 'DAVIS', tiny_sets.write_davis(tmp_path / 'DAVIS')


@pytest.fixture
def vip(tmp_path):
  return tmp_path / 'VIP', tiny_sets.write_vip(tmp_path / 'VIP')


@pytest.fixture
def jhmdb(tmp_path):
  return tmp_path / 'jhmdb', tiny_sets.write_jhmdb(tmp_path / 'jhmdb')
