"""Number of steps, each with a learning-rate schedule of that length: 3 jobs.

With batches of 2048 clips, the runs see 250 M, 500 M and 2 G clips. The paper
compares these at size S.
"""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for num_steps in (122_000, 244_000, 1_000_000):
    yield {'num_steps': num_steps}
