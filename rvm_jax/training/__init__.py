"""Training of one run: its loop, its steps on the devices, and its files.

`loop` is the place to start reading. It calls `program`, which builds the mesh,
the optimizer and the compiled `step`, and it writes `checkpoints`, the `ledger`
and what `reporting` shows. What is trained is one of the `objectives`.
"""
