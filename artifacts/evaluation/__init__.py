"""How good answers are: metrics, episodes, tables and pictures."""
