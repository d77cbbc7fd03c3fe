"""Ways to a classifier from few shots: the residual, and what it is measured against, over the same features."""
