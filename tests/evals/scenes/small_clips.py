"""Generates clips of scenes that are so small that a test can have many."""

import functools

from rvm_jax.evals.scenes import clips as clips_lib

SETTINGS = dict(
    height=32,
    width=48,
    num_frames=4,
    stride=2,
    path=8,
    num_points=6,
    min_share=0.01,
)


@functools.cache
def generate(split: str, num_clips: int) -> list[clips_lib.NamedExample]:
  """Generates the first clips of a split."""
  clips = clips_lib.SceneClips(split, **SETTINGS)
  return clips_lib.generate(clips, range(num_clips))
