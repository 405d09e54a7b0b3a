"""Exit codes of `python -m rvm_jax.main`, which tell launchers what to do.

A launcher starts the same command again after `PREEMPTED` and `RESTART`, and
if a signal has killed the process. Any other code means that a restart would
not help.
"""

import os

# All steps are done.
DONE = 0
# A mistake of the user, such as a wrong setting; the last line of the log says
# which.
ERROR = 1
# The run was told to stop and has saved everything. The number is that of
# sysexits.h for a temporary failure, after which a command may be tried again.
PREEMPTED = os.EX_TEMPFAIL
# The run ended for a reason that is not the user's, such as a lost process.
RESTART = 76
