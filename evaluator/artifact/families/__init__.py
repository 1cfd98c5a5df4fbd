"""One module per artifact format family."""
