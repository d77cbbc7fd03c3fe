"""Picture files to pixels and back, for the service and the commands alike."""
