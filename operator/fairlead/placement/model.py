"""What an App says of where its pods go (spec.placement)."""

from __future__ import annotations

import msgspec


class Placement(msgspec.Struct, frozen=True, rename="camel"):
    """spec.placement. `spread`: Default (soft, over zones and nodes) or None."""

    spread: str = "Default"
