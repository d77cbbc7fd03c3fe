"""Classification tasks on real servers."""
