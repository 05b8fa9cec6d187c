"""A package, so that what its tests share is taken down after the last of them and not at the end of the run."""
