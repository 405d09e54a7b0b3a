"""Hashes of parts: SHA-256 of the joined bytes, cut to sixteen digits."""

import numpy as np

from rvm_jax.storage import fingerprints


def test_a_hash_has_the_first_digits_of_sha256():
  # The hash of 'abc' in FIPS 180-2, appendix B.1.
  assert fingerprints.hash_parts([b'abc']) == 'ba7816bf8f01cfea'


def test_parts_are_joined_in_their_order():
  whole = fingerprints.hash_parts([b'abc'])
  parts = b'a', np.frombuffer(b'bc', np.uint8).data
  assert fingerprints.hash_parts(parts) == whole
  assert fingerprints.hash_parts(reversed(parts)) != whole
  assert fingerprints.hash_parts([]) != whole
