"""What a run does besides training: processes, signals, errors and its end."""
