"""Who is told of what happened, in which words, and how often."""
