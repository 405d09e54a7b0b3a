"""Errors of writing become one warning, and other errors stay errors."""

import errno

import pytest

from rvm_jax.storage import outages


def test_outage_warns_once_until_writing_works_again(caplog):
  outage = outages.Outage('file')

  def fail():
    with outage:
      raise OSError(errno.EDQUOT, 'Disk quota exceeded')

  fail()
  fail()
  warning = 'file cannot be written: Disk quota exceeded. The run goes on'
  assert caplog.text.count(warning) == 1
  with outage:
    pass
  with outage:
    pass
  assert caplog.text.count('file is written again') == 1
  fail()
  assert caplog.text.count(warning) == 2


def test_outage_hides_no_other_error():
  with pytest.raises(ValueError), outages.Outage('file'):
    raise ValueError
