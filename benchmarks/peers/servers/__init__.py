"""One module a peer: the model behind it as its own documentation advises. Each runs in its own environment."""
