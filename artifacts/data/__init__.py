"""Data: scenes, the data sets that hold them, and the episodes made from them."""
