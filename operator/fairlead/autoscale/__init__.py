"""Autoscaling: how many pods an App is to have, from what they do, by HorizontalPodAutoscaler's rules (autoscaling/v2)."""
