"""From video files and generated scenes to batches."""
