"""Scores the features of a run on generated scenes while it trains."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

from absl import logging
import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import clips as scenes_data
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols

# Number of the first clip. The clips of configs/eval_scenes.py have smaller
# numbers, so that they show other scenes.
_FIRST = 1_000_000
# The settings of clips in configs/eval_scenes.py, except for the frame size.
CLIPS = dict(num_frames=8, stride=2, path=32, num_points=24, min_share=0.02)
# Radius of label propagation, as a share of the longer side of the patch grid.
_RADIUS_SHARE = 3 / 8


def choose_propagation(height: int, width: int) -> dict[str, Any]:
  """Returns settings of `label_propagation.propagate` for a patch grid.

  For a grid of 8 x 8 patches they equal those of configs/eval_scenes.py.

  Args:
    height: number of rows of patches in a frame.
    width: number of columns of patches in a frame.
  """
  return dict(
      num_context=CLIPS['num_frames'] - 1,
      temperature=0.1,
      top_k=7,
      radius=_RADIUS_SHARE * max(height, width),
      center_frames=True,
  )


@functools.partial(jax.jit, static_argnums=0)
def _encode(objective, params, frames):
  """Returns features [B, T, h, w, D]; the devices share the B videos."""
  return mesh_lib.map_rows(objective.encode)(params, frames)


class SceneEvaluator:
  """An evaluator that runs `scenes.benchmark` on a few scenes.

  The loss of a run measures how well pixels are reconstructed; the scores of
  this evaluator measure what can be predicted from the features. No run is
  trained on these scenes. They are the same at each call and in each process,
  and in all runs with the same frame size. They are few: the scores show the
  progress of a run, but are too uncertain to compare two runs. The benchmark of
  configs/eval_scenes.py has more scenes for this purpose.
  """

  def __init__(
      self,
      config: ml_collections.ConfigDict,
      check: Callable[[], None] = lambda: None,
  ):
    """Generates the scenes, at the size of the run's frames.

    Args:
      config: config of the run, as in configs/rvm_base.py. Readouts are scored
        on a quarter of its `num_eval_scenes` clips and fitted to the others.
      check: function that raises if the run is to stop. All processes call it
        at the same points, so that they stop together: after each clip that is
        generated, and in an evaluation where `benchmark.measure` calls it.
    """
    self._check = check
    self._size = config.data.height, config.data.width
    size = dict(zip(('height', 'width'), self._size))
    num_test = config.num_eval_scenes // 4
    nums = config.num_eval_scenes - num_test, num_test
    with scenes_data.start_workers(config.data.num_workers) as map_:
      self._train, self._test = (
          scenes_data.generate(
              scenes_data.SceneClips(split, **size, **CLIPS),
              range(_FIRST, _FIRST + num),
              map_,
              check,
          )
          for split, num in zip(('train', 'held_out'), nums)
      )

  def __call__(
      self, objective: protocols.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Scores the features that the current parameters give.

    Args:
      objective: training objective of the run.
      params: current parameters of the objective's model.

    Returns:
      The score of each task in `scenes.benchmark.TASKS`, by the task's name;
      and pictures of the first test clip, uint8 [height, width, 3], by what
      they show, such as 'masks'.
    """

    def encode(frames):
      patches = multihost_utils.process_allgather(
          _encode(objective, params, frames), tiled=True
      )
      return encoder_lib.FrameFeatures(patches, None)

    # The encoder is used only here, so its name and identity do not matter.
    rows, pictures = benchmark.measure(
        encoder_lib.FrozenEncoder(
            'run', 'run', objective.patch, 'RGB in [0, 1]', encode
        ),
        self._train,
        self._test,
        choose_propagation(*patches_lib.grid(*self._size, objective.patch)),
        {self._test[0].name},
        self._check,
    )
    scores = benchmark.summarise(rows)
    for line in benchmark.tabulate(scores):
      logging.info(line)
    # Pictures are named TASK_CLIP. There is one clip, so TASK is enough.
    return (
        {task.name: scores[task.name] for task in benchmark.TASKS},
        {name.partition('_')[0]: sheet for name, sheet in pictures.items()},
    )
