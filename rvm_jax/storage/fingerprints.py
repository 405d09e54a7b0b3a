"""Short hashes by which results and files say what they were made from."""

from collections.abc import Iterable
import hashlib


def hash_parts(parts: Iterable[bytes | memoryview]) -> str:
  """Returns the first sixteen hexadecimal digits of a SHA-256 hash.

  Args:
    parts: bytes, hashed as if they were one string; nothing is put between
      parts, so the caller must separate what could be confused.
  """
  digest = hashlib.sha256()
  for part in parts:
    digest.update(part)
  return digest.hexdigest()[:16]
