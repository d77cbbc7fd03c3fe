"""One file a task: its name is the task's, and it holds `TASK`."""
