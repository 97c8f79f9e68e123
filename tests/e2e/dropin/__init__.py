"""Does one command look the same as another: both run on their own copy of a configuration, and compared."""
