"""How good the features of a run are so far, by tasks on generated scenes."""

from collections.abc import Mapping
import functools
from typing import Any

from absl import logging
import flax.linen as nn
import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import clips as scenes_data
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import step

# Number of the first clip. The clips of configs/eval_scenes.py have smaller
# numbers, and so are other scenes.
_FIRST = 1_000_000
# The clips of configs/eval_scenes.py, but of the size of the run's frames.
CLIPS = dict(num_frames=8, stride=2, path=32, num_points=24, min_share=0.02)
# How far things may move between two frames, as a share of the longer side.
_REACH = 3 / 8


def choose_propagation(height: int, width: int) -> dict[str, Any]:
  """Returns settings of `label_propagation.propagate` for a size of features.

  Args:
    height: number of rows of patches in a frame.
    width: number of columns of patches in a frame.
  """
  return dict(
      num_context=CLIPS['num_frames'] - 1,
      temperature=0.1,
      top_k=7,
      radius=_REACH * max(height, width),
  )


@functools.partial(jax.jit, static_argnums=0)
def _encode(objective, params, frames):
  # All devices of the run share the clips, as they share a batch.
  with nn.logical_axis_rules(mesh_lib.LOGICAL_RULES):
    frames = nn.with_logical_constraint(frames, ('batch',))
    return objective.encode(params, frames)


class SceneEvaluator:
  """An evaluator: the tasks of `scenes.benchmark` on a few held-out scenes.

  The loss measures how well pixels are predicted; this measures what can be
  read off the features. The scenes are the same at each call, in each process
  and in each run with frames of this size. There are few of them: the scores
  show where a run is going. To tell two runs apart, use the benchmark of
  configs/eval_scenes.py, which has more.
  """

  def __init__(self, config: ml_collections.ConfigDict):
    """Renders the scenes, at the size of the run's frames.

    Args:
      config: the run's config, as in configs/rvm_base.py.
    """
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
          )
          for split, num in zip(('train', 'held_out'), nums)
      )

  def __call__(
      self, objective: step.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Returns a score for each of `scenes.benchmark.TASKS`, and pictures.

    Args:
      objective: what is trained.
      params: its parameters.
    """

    def encode(frames):
      patches = multihost_utils.process_allgather(
          _encode(objective, params, frames), tiled=True
      )
      return encoder_lib.FrameFeatures(patches, None)

    rows, pictures = benchmark.measure(
        encoder_lib.FrozenEncoder(
            'run', 'run', objective.patch, 'RGB in [0, 1]', encode
        ),
        self._train,
        self._test,
        choose_propagation(*patches_lib.grid(*self._size, objective.patch)),
        {self._test[0].name},
    )
    scores = benchmark.summarise(rows)
    for line in benchmark.tabulate(scores):
      logging.info(line)
    return (
        {task.name: scores[task.name] for task in benchmark.TASKS},
        {name.partition('_')[0]: sheet for name, sheet in pictures.items()},
    )
