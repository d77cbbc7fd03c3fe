"""The files of deploy/ that no test runs."""
