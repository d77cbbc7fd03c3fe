"""A GPU without one, stricter than a real one where that hides faults: see `memory`, `device` and `backend`."""
