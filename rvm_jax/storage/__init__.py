"""Arrays and files on disk, and the settings they were written with."""
