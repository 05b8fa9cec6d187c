"""Health gates: checks by which each pod is asked whether it may have traffic, and the conditions that say so on the pods."""
