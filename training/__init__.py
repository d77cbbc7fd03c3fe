"""Training of a base model from scratch: tokenizer (VQGAN), then MAE."""
