"""The store: artifact files, a folder of them, and what one says of itself."""
