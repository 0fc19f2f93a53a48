"""Every performance claim as a command that prints a ratio; see README.md."""
