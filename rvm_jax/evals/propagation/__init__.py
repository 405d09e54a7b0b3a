"""Labels of the first frame, propagated to the frames after it."""
