"""Fairlead: the workload layer of Kubernetes as one operator."""

__version__ = "0.1.0"
