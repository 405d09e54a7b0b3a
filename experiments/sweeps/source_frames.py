"""Number of source frames: 4 jobs.

With one source frame the core has nothing to carry on: what is gained with two,
four and eight is what recurrence is worth. The paper's comparison is of size S
after 250 k steps: add --config.num_steps=250000 to configs/rvm_small.py.
"""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for num_source in (1, 2, 4, 8):
    yield {'data.num_source': num_source}
