"""The evaluators that a run calls at regular intervals, as its config says."""

from collections.abc import Callable

import ml_collections

from rvm_jax.data import pipeline
from rvm_jax.evals.in_training import held_out
from rvm_jax.evals.in_training import reconstruction
from rvm_jax.training import loop


def open_all(
    config: ml_collections.ConfigDict,
    data: pipeline.Pipeline,
    check: Callable[[], None] = lambda: None,
) -> dict[str, loop.Evaluator]:
  """Returns the evaluators of a run, by name.

  Args:
    config: config of the run, as in configs/rvm_base.py.
    data: training data of the run.
    check: function that raises if the run is to stop. Evaluators call it
      between their parts, all processes at the same places.

  Returns:
    'reconstruction'; 'held_out', if videos are kept out of training; and
    'scenes', unless `config.num_eval_scenes` is 0, with 'correspondence', if
    the run trains on scenes.
  """
  found: dict[str, loop.Evaluator] = {
      'reconstruction': reconstruction.ReconstructionEvaluator(
          config, data, check
      )
  }
  if data.has_held_out:
    found['held_out'] = held_out.HeldOutEvaluator(config, data, check)
  if config.num_eval_scenes:
    # Imported here, because only generated scenes need MuJoCo.
    from rvm_jax.evals.in_training import scenes  # pylint: disable=g-import-not-at-top

    found['scenes'] = scenes.SceneEvaluator(config, check)
    if 'scenes' in config.data.sources:
      from rvm_jax.evals.in_training import correspondence  # pylint: disable=g-import-not-at-top

      found['correspondence'] = correspondence.CorrespondenceEvaluator(
          config, check
      )
  return found
