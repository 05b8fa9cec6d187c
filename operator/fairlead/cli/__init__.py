"""The command line: `fairlead`, and the same as `kubectl fairlead`."""
