"""The command line: read options, call what does the work, render what comes back."""
