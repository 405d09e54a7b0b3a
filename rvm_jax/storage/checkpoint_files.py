"""The files of a checkpoint of a run, and how damage to them is noticed.

  STEP/state/            the training state, written by Orbax
  STEP/data/metadata     the position in the data, as JSON
  STEP/config/metadata   the config of the run, as JSON
  STEP/digests/metadata  as JSON: the `digests` of the state's arrays by their
                         paths, and a hash of config, position and digests

The folder of a checkpoint is named by its step, and appears once it is whole.
On a bucket, where folders cannot be renamed, a checkpoint counts once it has
its digests, written last. Checkpoints of earlier versions have no digests.
"""

from collections.abc import Mapping
import contextlib
import json
import os
import re
from typing import Any, NamedTuple

from etils import epath
import jax
import numpy as np
import orbax.checkpoint as ocp

from rvm_jax.storage import damage
from rvm_jax.storage import digests as digests_lib
from rvm_jax.storage import fingerprints

STATE, DATA, CONFIG, DIGESTS = 'state', 'data', 'config', 'digests'
# The warning about a checkpoint of an earlier version; %s is its path.
NO_DIGESTS = '%s has no digests to verify it with: an earlier version saved it'


class Contents(NamedTuple):
  """A checkpoint without its arrays.

  Attributes:
    config: config of the run, as nested dicts.
    data: position in the data, as a dict; None if the checkpoint has none. The
      checkpoint's parameters can be used even so.
    arrays: `digests.Digest.text` of each array of the state by its path; None
      if the checkpoint has no digests.
  """

  config: dict[str, Any]
  data: dict[str, Any] | None
  arrays: dict[str, str] | None


def locate(path: str | os.PathLike[str]) -> epath.Path:
  """Returns a path that does not depend on the current directory.

  Args:
    path: a local path, or a URL such as 'gs://bucket/run'.

  Raises:
    ValueError: `path` is a URL that does not begin with 'gs://'.
  """
  text = os.fspath(path)
  if is_url(text) and not text.startswith('gs://'):
    raise ValueError(
        f'{text} must be a local path or begin with gs://: Orbax writes to no'
        ' other kind of bucket. Mount the bucket as a folder'
    )
  return epath.Path(text if is_url(text) else os.path.abspath(text))


def is_url(path: str | os.PathLike[str]) -> bool:
  """Returns whether a path names a bucket, such as 'gs://bucket/run'."""
  return '://' in os.fspath(path)


def find_steps(directory: epath.Path) -> list[int]:
  """Returns the steps of all checkpoints in a folder in ascending order.

  If there is no such folder, there are no steps. On a local disk an empty
  folder of a step is listed too; reading it raises DamagedError.
  """
  if not directory.is_dir():
    return []
  return sorted(
      int(path.name)
      for path in directory.iterdir()
      if re.fullmatch('0|[1-9][0-9]*', path.name)
      and path.is_dir()
      and (not is_url(path) or _file(path, DIGESTS).exists())
  )


def write_json(path: epath.Path, part: str, contents: Mapping[str, Any]):
  """Writes a part of a checkpoint as JSON.

  Args:
    path: folder of the checkpoint.
    part: name of the part.
    contents: values that JSON can hold.
  """
  _file(path, part).parent.mkdir(parents=True, exist_ok=True)
  _file(path, part).write_text(json.dumps(contents))


def write_digests(
    path: epath.Path,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    arrays: Mapping[str, str],
):
  """Writes the digests of a checkpoint from the fields of its `Contents`."""
  sums = _hash(config, data, arrays)
  write_json(path, DIGESTS, {'arrays': arrays, 'json': sums})


def read_contents(path: epath.Path) -> Contents:
  """Reads all but the arrays of a checkpoint.

  Args:
    path: folder of the checkpoint.

  Raises:
    DamagedError: a file cannot be read, or is not what was saved.
  """
  with damage.Naming(path):
    config = _read_json(path, CONFIG)
    has_data = _file(path, DATA).parent.is_dir()
    data = _read_json(path, DATA) if has_data else None
    if not _file(path, DIGESTS).parent.is_dir():
      return Contents(config, data, None)
    saved = _read_json(path, DIGESTS)
    if saved['json'] != _hash(config, data, saved['arrays']):
      raise ValueError('config, data position or digests have changed')
    return Contents(config, data, saved['arrays'])


def read_shapes(
    path: epath.Path, saved: Mapping[str, str] | None
) -> dict[str, Any]:
  """Reads the shapes and dtypes of the arrays of a checkpoint.

  Args:
    path: folder of the checkpoint.
    saved: `Contents.arrays`.

  Returns:
    The tree of the state, nested dicts and lists. Its leaves have the
    attributes `shape` and `dtype`.

  Raises:
    DamagedError: a file cannot be read, or the arrays are not those of `saved`.
  """
  with damage.Naming(path):
    tree = ocp.PyTreeCheckpointHandler().metadata(path / STATE).tree
    arrays = digests_lib.flatten(tree)
    found = {key: digests_lib.describe(array) for key, array in arrays.items()}
    if saved is not None:
      # The text of a digest is dtype and shape, and then a hash.
      expected = {key: text.rsplit(' ', 1)[0] for key, text in saved.items()}
      if changed := sorted(
          {key for key, _ in found.items() ^ expected.items()}
      ):
        raise ValueError(
            f'names, shapes or dtypes changed: {damage.name_keys(changed)}'
        )
    return tree


def read_arrays(path: epath.Path, shapes: Mapping[str, Any]) -> dict[str, Any]:
  """Reads a part of the state of a checkpoint to the host.

  Args:
    path: folder of the checkpoint.
    shapes: the part of the tree of `read_shapes` to read. The leaves may be
      anything.

  Returns:
    The tree with np.ndarrays.

  Raises:
    DamagedError: a file cannot be read.
  """
  as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
  with damage.Naming(path):
    return ocp.PyTreeCheckpointHandler().restore(
        path / STATE,
        args=ocp.args.PyTreeRestore(
            item=shapes,
            restore_args=jax.tree.map(lambda _: as_numpy, shapes),
            partial_restore=True,
        ),
    )


def read_state(path: epath.Path, shapes: Any) -> Any:
  """Reads the state of a checkpoint to devices, each process its own part.

  Args:
    path: folder of the checkpoint.
    shapes: the whole state as `jax.ShapeDtypeStruct`s with shardings.

  Returns:
    The tree with jax.Arrays.

  Raises:
    DamagedError: a file cannot be read.
  """
  with damage.Naming(path):
    return ocp.StandardCheckpointHandler().restore(
        path / STATE, args=ocp.args.StandardRestore(shapes)
    )


def compare(
    path: epath.Path,
    found: Mapping[str, digests_lib.Digest],
    saved: Mapping[str, str] | None,
):
  """Compares arrays that were read with what was saved.

  Args:
    path: folder of the checkpoint, for the error message.
    found: digests of arrays that were read, by their paths in the state.
    saved: `Contents.arrays`; None to check only that parameters are finite.

  Raises:
    DamagedError: an array has changed since it was saved; or a parameter is not
      finite.
  """
  if saved is not None:
    changed = sorted(k for k, x in found.items() if saved.get(k) != x.text)
    if changed:
      raise damage.DamagedError(
          path, f'{damage.name_keys(changed)} changed since it was saved'
      )
  counts = {
      key: f'{key} ({x.non_finite})'
      for key, x in found.items()
      if x.non_finite and key.startswith(('params/', 'ema/'))
  }
  if counts:
    raise damage.DamagedError(
        path,
        'parameters are not finite (number of elements):'
        f' {damage.name_keys(list(counts.values()))}',
    )


def check(path: epath.Path):
  """Reads a whole checkpoint to the host and checks it, without any device.

  Args:
    path: folder of the checkpoint.

  Raises:
    DamagedError: it is damaged, or has a parameter that is not finite.
  """
  contents = read_contents(path)
  shapes = read_shapes(path, contents.arrays)
  found: dict[str, digests_lib.Digest] = {}
  # Read one part of the state at a time, so that only this part is in memory.
  for part, tree in shapes.items():
    arrays = digests_lib.flatten(read_arrays(path, {part: tree}))
    found |= {key: digests_lib.of_array(x) for key, x in arrays.items()}
  compare(path, found, contents.arrays)


def find_good(directory: epath.Path, below: int | None = None) -> int | None:
  """Returns the step of the newest checkpoint that passes `check`, or None.

  Args:
    directory: folder of the checkpoints.
    below: only checkpoints of earlier steps are looked at; None for all.
  """
  for step in reversed(find_steps(directory)):
    if below is None or step < below:
      with contextlib.suppress(damage.DamagedError):
        check(directory / str(step))
        return step
  return None


def _file(path: epath.Path, part: str) -> epath.Path:
  """Returns the file of a part that is stored as JSON."""
  return path / part / 'metadata'


def _read_json(path: epath.Path, part: str) -> dict[str, Any]:
  try:
    contents = json.loads(_file(path, part).read_text())
  except ValueError as error:
    raise ValueError(f'{part} is not valid JSON: {error}') from error
  if not isinstance(contents, dict):
    raise ValueError(f'{part} is not a JSON object')
  return contents


def _hash(*contents: Mapping[str, Any] | None) -> str:
  return fingerprints.hash_parts(
      [json.dumps(contents, sort_keys=True).encode()]
  )
