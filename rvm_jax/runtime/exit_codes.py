"""Exit codes of `python -m rvm_jax.main`, which tell launchers what to do.

A launcher starts the same command again after `PREEMPTED` and `RESTART`, and
after a signal such as SIGKILL has ended the process. It does not after any
other code, because a restart would not help or, after Ctrl-C, is not wanted.
"""

import os

# All steps are done.
DONE = 0
# An error that a restart would not help, such as a wrong setting or a bug; the
# last line on the screen describes it.
ERROR = 1
# The run was told to stop and has saved everything. The number is that of
# sysexits.h for a temporary failure, after which a command may be tried again.
PREEMPTED = os.EX_TEMPFAIL
# The run ended for a reason that is not the user's, such as a lost process.
RESTART = 76
