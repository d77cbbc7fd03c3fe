"""Measurements through the public interfaces only."""
