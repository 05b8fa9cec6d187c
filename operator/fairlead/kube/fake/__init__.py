"""An API server in memory, faithful where Fairlead leans on it: tests/conformance runs one suite on this and on a real one.

cluster = FakeCluster(clock)                      the state, driven directly by a test's users, kubelets, schedulers
client = FakeClient(cluster, faults=At(3, after=crash))      the operator's door to it
"""

from fairlead.kube.fake.client import FakeClient
from fairlead.kube.fake.cluster import FakeCluster
from fairlead.kube.fake.faults import At, Crash, Faults, Write
from fairlead.kube.fake.records import Admission, Commit, Origin, Stored

__all__ = ["Admission", "At", "Commit", "Crash", "FakeClient", "FakeCluster", "Faults", "Origin", "Stored", "Write"]
