"""Classification over a frozen image encoder: heads, and the bank they are served from."""
