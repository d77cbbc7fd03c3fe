"""Three servers behind HAProxy, each in a network namespace of its own on this machine."""
