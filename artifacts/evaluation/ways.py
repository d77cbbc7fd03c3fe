"""The names of the rows of every results table: ways to answer, and floors."""

ONE_SHOT, BARE, VECTOR = "one-shot", "zero-shot, no vector", "zero-shot, task vector"
TOKENIZER, COPY, CONSTANT = "tokenizer floor", "copy the input", "mean colour"
