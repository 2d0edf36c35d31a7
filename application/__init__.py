"""What the service does: commands and their handlers, the writer, the state machines behind the jobs."""
