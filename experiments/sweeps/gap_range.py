"""How far the targets lie after the last source frame, in frames: 5 jobs."""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for min_gap, max_gap in ((1, 8), (4, 24), (4, 48), (1, 48), (24, 48)):
    yield {'data.min_gap': min_gap, 'data.max_gap': max_gap}
