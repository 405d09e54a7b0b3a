"""What fails in one process is known in all."""

import jax
from jax.experimental import multihost_utils
import numpy as np

from rvm_jax.runtime import agreement


def test_one_process_gets_its_own_reason():
  assert agreement.gather_reasons('') == ''
  assert agreement.gather_reasons('disk full') == 'disk full'


def test_reasons_of_all_processes_are_joined(monkeypatch):
  others = ['', 'disk full', 'ü' * 400]
  sent = []

  def gather(text):
    sent.append(text)
    rows = [np.zeros_like(text) for _ in others]
    for row, reason in zip(rows, others, strict=True):
      encoded = np.frombuffer(reason.encode()[: len(row)], np.uint8)
      row[: len(encoded)] = encoded
    return np.stack(rows)

  monkeypatch.setattr(jax, 'process_count', lambda: 3)
  monkeypatch.setattr(multihost_utils, 'process_allgather', gather)
  found = agreement.gather_reasons('')
  assert found == f'process 1: disk full; process 2: {"ü" * 150}'
  assert not sent[0].any()
  others = ['', '', '']
  assert agreement.gather_reasons('') == ''
