"""Small pictures of a run's frames, drawn when a frame is scored and shown by the report."""
