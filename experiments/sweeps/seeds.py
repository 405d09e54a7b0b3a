"""Five seeds of one config, to see how much of a difference is chance."""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for seed in range(5):
    yield {'seed': seed}
