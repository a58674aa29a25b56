"""The command line: options in, results and progress out."""
