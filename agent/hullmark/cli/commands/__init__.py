"""One module for each command; what it exports is a click command called `command`."""
