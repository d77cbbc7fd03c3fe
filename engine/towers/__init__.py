"""Towers: frozen image encoders, whose features classification heads take."""
