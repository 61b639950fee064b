"""Running a procedure: preview, record, reproduce."""
