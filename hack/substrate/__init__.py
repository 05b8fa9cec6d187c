"""The substrate: real Kubernetes for development and tests, from a laptop to a machine that reaches no image registry.

`cluster` gives a kind cluster, `lab` a bare control plane as plain processes, `image` the operator's container image.
Standard library only: this runs before any virtual environment exists.
"""
