"""Search: which sites a task vector writes."""
