"""Batches of frames from video files and generated scenes."""
