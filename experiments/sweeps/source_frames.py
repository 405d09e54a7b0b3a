"""Number of source frames: 4 jobs.

With one source frame the core has no earlier state to use. The gain with two,
four and eight is the value of recurrence. The paper's comparison is of size S
after 250 k steps: launch the sweep with --config=configs/rvm_small.py
--config.num_steps=250000.
"""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for num_source in (1, 2, 4, 8):
    yield {'data.num_source': num_source}
