"""Reads a checkpoint back, in all processes of a run, and checks that it fits.

All processes fail alike: an error in the part that one of them reads makes all
of them raise, before they do anything together. Otherwise the others would wait
for the one that failed.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
from typing import Any

from absl import logging
from etils import epath
import jax

from rvm_jax import weights
from rvm_jax.runtime import agreement
from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.storage import digests
from rvm_jax.storage import settings
from rvm_jax.training import averaging
from rvm_jax.training import moments
from rvm_jax.training import saving
from rvm_jax.training import step as step_lib
from rvm_jax.training import window
from rvm_jax.weights import runs

# Prefixes of the config keys that decide what is trained. A checkpoint with
# other values is not restored. 'model.' is in the config of a pretraining run,
# 'protocol.' in the config of a readout (`evals.fitting`).
_IDENTITY_PREFIXES = ('objective', 'model.', 'protocol.')
# Config keys that match a prefix but decide only how the model is computed.
# They may change when a run is resumed.
_COMPUTATION_KEYS = (
    'model.dtype',
    'model.attention',
    'model.remat',
    'model.scan_layers',
)

# Modules for the parts of the state in which a checkpoint may differ from the
# run that resumes from it. The function `as_saved` of each returns the state to
# read from the checkpoint, and `as_wanted` converts it to the state of the run.
_CHANGEABLE = (window, averaging, moments)


def read(
    path: epath.Path,
    shapes: step_lib.TrainState,
    config: Mapping[str, Any],
    *,
    verify: bool,
) -> tuple[step_lib.TrainState, dict[str, Any]]:
  """Reads a checkpoint; see `checkpoints.Checkpoints.restore`.

  Args:
    path: folder of the checkpoint.
    shapes: training state of the run, as `jax.ShapeDtypeStruct`s.
    config: config of the run, as nested dicts.
    verify: whether the state is compared with its digests. Its parameters must
      be finite in either case.

  Returns:
    The training state and the position in the data.

  Raises:
    damage.DamagedError: the checkpoint is damaged.
    ValueError: the config does not fit the checkpoint.
  """
  # Read all but the arrays. An error here means damage.
  with _failing_alike(path), damage.Naming(path):
    contents = checkpoint_files.read_contents(path)
    if contents.data is None:
      raise FileNotFoundError('it has no position in the data')
    arrays = checkpoint_files.read_shapes(path, contents.arrays)
    saved_shapes = shapes
    for part in _CHANGEABLE:
      saved_shapes = part.as_saved(saved_shapes, arrays)
  # Compare with the run before the arrays are read. An error here means that
  # the checkpoint does not fit, not that it is damaged.
  if int(path.name) > config['num_steps']:
    raise ValueError(
        f'config.num_steps={config["num_steps"]} must be at least the'
        f' {path.name} steps that {path.parent} has'
    )
  changes = _check_config(str(path), contents.config, config)
  _check_state(str(path), arrays, saved_shapes)
  # Read the arrays, and compare them with their digests.
  with _failing_alike(path):
    parts = checkpoint_files.read_state(path, saved_shapes.parts())
    state = saved_shapes.replace(**parts)
  is_verified = verify and contents.arrays is not None
  checkpoint_files.compare(
      path,
      digests.start(
          state if is_verified else {'params': state.params}
      ).result(),
      contents.arrays if is_verified else None,
  )
  for change in changes:
    logging.warning('Resuming with a changed config: %s', change)
  if contents.arrays is None:
    logging.warning(checkpoint_files.NO_DIGESTS, path)
  logging.info('Resumed from %s', path)
  for part in _CHANGEABLE:
    state = part.as_wanted(state, shapes)
  return state, contents.data


def make_initial(
    shapes: step_lib.TrainState,
    init: Callable[[], step_lib.TrainState],
    config: Mapping[str, Any],
    *,
    init_from: str | None,
    fresh_decoder: bool,
) -> step_lib.TrainState:
  """Returns the initial state of a run that has no checkpoint.

  Args:
    shapes: the training state as `jax.ShapeDtypeStruct`s.
    init: function that returns an initialised training state. It is called only
      after the parameters at `init_from`, if set, have been read.
    config: config of the run, as nested dicts.
    init_from: path of the parameters that the run starts from, see
      `weights.read_initial`; None to initialise them.
    fresh_decoder: whether only the encoder and the core are taken from
      `init_from`, and the decoder is initialised.

  Raises:
    OSError: nothing can be read at `init_from`.
    ValueError: the parameters at `init_from` do not fit, see
      `weights.read_initial`.
  """
  if init_from is None:
    return init()
  try:
    initial = weights.read_initial(
        init_from,
        shapes.params,
        fresh_decoder=fresh_decoder,
        model=config['model'],
    )
  except FileNotFoundError as error:
    raise FileNotFoundError(
        f'config.checkpoint.init_from={init_from} must be a file of parameters,'
        f' a workdir or a checkpoint: {error}'
    ) from error
  fresh = init()
  params = weights.put_initial(initial, fresh.params)
  state = fresh.replace(params=params)
  return state if state.ema is None else averaging.restart(state)


def move_aside(path: epath.Path, folder: epath.Path, reason: str):
  """Moves a damaged checkpoint out of the way, with a warning.

  Args:
    path: folder of the checkpoint.
    folder: folder to move it to, under its own name. A number is added to the
      name if something of this name is there.
    reason: what is wrong with the checkpoint.

  Raises:
    OSError: it cannot be moved.
  """

  def move():
    place, number = folder / path.name, 1
    while place.exists():
      place = folder / f'{path.name}_{number}'
      number += 1
    folder.mkdir(exist_ok=True)
    # A folder of a bucket exists only while something is in it.
    if checkpoint_files.is_url(folder):
      (folder / f'{place.name}.txt').write_text(reason)
    path.rename(place)
    logging.warning(
        '%s is damaged: %s. It was moved to %s; the run resumes from the'
        ' checkpoint before it',
        path,
        reason,
        place,
    )

  failure = saving.attempt(move) if jax.process_index() == 0 else ''
  if failure := agreement.gather_reasons(failure):
    raise OSError(
        f'{path} is damaged: {reason}. It cannot be moved away: {failure}'
    )


@contextlib.contextmanager
def _failing_alike(path: epath.Path) -> Iterator[None]:
  """Raises `DamagedError` in all processes if the block does so in one."""
  reason = ''
  try:
    yield
  except damage.DamagedError as error:
    reason = error.reason
  if reason := agreement.gather_reasons(reason):
    raise damage.DamagedError(path, reason)


def _check_config(
    path: str, saved: Mapping[str, Any], config: Mapping[str, Any]
) -> list[str]:
  """Checks that a run may resume from a checkpoint, given both configs.

  Args:
    path: path of the checkpoint, for the error message.
    saved: config in the checkpoint, as nested dicts.
    config: config of the run that is to resume, as nested dicts.

  Returns:
    A text for each difference that does not prevent it.

  Raises:
    ValueError: the configs differ in objective, model or protocol.
  """
  # Keys that an earlier version did not have yet are no differences.
  changed = settings.list_differences(
      runs.complete(saved), runs.complete(config)
  )
  conflicts = [
      f'config.{key}: {found}'
      for key, found in changed.items()
      if key.startswith(_IDENTITY_PREFIXES) and key not in _COMPUTATION_KEYS
  ]
  if conflicts:
    raise ValueError(
        f'{path} was written with other settings:\n  '
        + '\n  '.join(conflicts)
        + '\nGo on with its config, or start in another --workdir'
    )
  return [f'config.{key}: {found}' for key, found in changed.items()]


def _check_state(path: str, saved: Any, shapes: step_lib.TrainState):
  """Checks that a checkpoint has the arrays of this run's state.

  Args:
    path: path of the checkpoint, for the error message.
    saved: tree of the arrays' metadata, as `checkpoint_files.read_shapes`
      returns it.
    shapes: the state of this run.

  Raises:
    ValueError: the trees differ in paths, shapes or dtypes.
  """
  differences = settings.list_differences(
      *(
          {key: digests.describe(x) for key, x in digests.flatten(tree).items()}
          for tree in (saved, shapes)
      )
  )
  if differences:
    lines = [f'{key}: {found}' for key, found in differences.items()]
    raise ValueError(
        f'{path} holds another state than this run has:\n  '
        + '\n  '.join(lines)
        + '\nGo on with its config, or start in another --workdir'
    )
