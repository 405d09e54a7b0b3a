"""Label propagation: masks and joints of the first frame, without training."""
