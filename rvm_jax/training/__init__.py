"""Training: device mesh, optimizer, training step, loop, checkpoints, logs."""
