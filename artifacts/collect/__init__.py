"""Collect: mean head outputs over solved prompts, and what they tell of each head."""
