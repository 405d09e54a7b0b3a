"""Launching: from a config and a sweep to jobs, and from jobs to one table."""
