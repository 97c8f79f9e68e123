"""How to build an engine command line and run it: finding the engine, argv apart from the runner, streams, signals."""
