"""Launches a config or a sweep as jobs, and collects their results."""
