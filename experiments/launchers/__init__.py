"""Back ends: each turns a job into commands, scripts or manifests."""
