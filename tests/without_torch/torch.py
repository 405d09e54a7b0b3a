"""Takes PyTorch's place in runs that tests start, which do not use it.

tensorboardX imports PyTorch where it is installed, which takes a run, and each
of its workers, longer than all other imports.
"""

raise ImportError('runs of the tests do without PyTorch')
