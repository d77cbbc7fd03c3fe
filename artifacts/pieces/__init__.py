"""Forward passes of the offline job in pieces, computed here or on many machines."""
