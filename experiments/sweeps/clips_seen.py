"""Length of the run, each with its whole schedule: 3 jobs.

At a batch of 2048 these are 250 M, 500 M and 2 G clips, which the paper
compares at size S.
"""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for num_steps in (122_000, 244_000, 1_000_000):
    yield {'num_steps': num_steps}
