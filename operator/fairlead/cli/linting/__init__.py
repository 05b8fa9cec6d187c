"""Checking manifests without a cluster: what the API server would say of them, by the very schema it would use."""
