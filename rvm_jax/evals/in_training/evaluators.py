"""Chooses the evaluators that a run calls at regular intervals."""

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
  """Makes the evaluators of a run, which may read or generate their data.

  Args:
    config: config of the run, as in configs/rvm_base.py.
    data: training data of the run.
    check: function that raises if the run is to stop. Evaluators call it
      between parts of their work. All processes call it at the same points, so
      that they stop together.

  Returns:
    Evaluators by name:
    'reconstruction', in every run.
    'held_out', if videos are kept out of training.
    'scenes', if `config.num_eval_scenes` is not 0.
    'correspondence', if there is 'scenes' and the run trains on scenes.
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
