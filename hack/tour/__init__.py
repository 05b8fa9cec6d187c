"""The demo: a story told on a real cluster, with every command shown as one would type it."""
