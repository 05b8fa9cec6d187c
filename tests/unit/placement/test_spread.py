"""What is added for spreading, and what a template keeps for itself."""

from typing import Any

from fairlead.placement.model import Placement
from fairlead.placement.plan import NODE, ZONE, add_spread

ANTI = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": NODE, "labelSelector": {}}]}


def zones(spec: dict[str, Any]) -> list[str]:
    anti = spec["affinity"]["podAntiAffinity"]
    return [
        one["podAffinityTerm"]["topologyKey"] for one in anti.get("preferredDuringSchedulingIgnoredDuringExecution", ())
    ]


def test_a_constraint_names_nodes_only_since_a_cluster_may_have_no_zones() -> None:
    spec = add_spread(Placement(), "shop", "v1", 6, {"containers": []})

    assert [one["topologyKey"] for one in spec["topologySpreadConstraints"]] == [NODE]
    assert zones(spec) == [ZONE]


def test_constraints_of_the_template_are_all_there_is() -> None:
    own = {"topologySpreadConstraints": [{"topologyKey": NODE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]}

    assert add_spread(Placement(), "shop", "v1", 6, own) == own


def test_anti_affinity_of_the_template_stays_as_it_is() -> None:
    spec = add_spread(Placement(), "shop", "v1", 6, {"affinity": {"podAntiAffinity": ANTI}})

    assert spec["affinity"] == {"podAntiAffinity": ANTI}
    assert spec["topologySpreadConstraints"]


def test_other_affinity_of_the_template_is_kept_beside_ours() -> None:
    spec = add_spread(Placement(), "shop", "v1", 6, {"affinity": {"nodeAffinity": {"x": 1}}})

    assert spec["affinity"]["nodeAffinity"] == {"x": 1}
    assert zones(spec) == [ZONE]


def test_the_template_is_not_changed_in_place() -> None:
    own: dict[str, Any] = {"affinity": {"nodeAffinity": {}}}

    add_spread(Placement(), "shop", "v1", 6, own)

    assert own == {"affinity": {"nodeAffinity": {}}}


def test_a_large_app_is_spread_over_nodes_alone() -> None:
    own = {"affinity": {"nodeAffinity": {"x": 1}}}

    small, large = (add_spread(Placement(), "shop", "v1", replicas, own) for replicas in (99, 100))

    assert zones(small) == [ZONE]
    assert large["affinity"] == {"nodeAffinity": {"x": 1}}
    assert large["topologySpreadConstraints"] == small["topologySpreadConstraints"]
