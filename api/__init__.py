"""The HTTP API: one table of commands, one table of reads, one error envelope."""
