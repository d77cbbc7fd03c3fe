"""`vtv infer`: answers without a server, of one picture or of very many."""
