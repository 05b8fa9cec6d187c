"""The language of the end-to-end tests: given a cluster and an App, when something happens, then something is true."""

from e2e.dsl.cluster import Cluster
from e2e.dsl.operator import Operator
from e2e.dsl.scene import Given, Scene, Then, When

__all__ = ["Cluster", "Given", "Operator", "Scene", "Then", "When"]
