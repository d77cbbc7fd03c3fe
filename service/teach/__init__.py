"""Tasks that are made of uploaded pairs while the service runs: jobs, each in a process of its own."""
