"""Faults of virtual boxes for ``hwloop accept``: each breaks one rule of a running bench."""
