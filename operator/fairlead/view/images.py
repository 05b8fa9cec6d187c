"""Images as people call them."""

from __future__ import annotations

from collections.abc import Iterable


def short_image(image: str) -> str:
    """An image without its registry and path, a digest cut to its first seven digits.

    >>> short_image("registry.k8s.io/e2e/agnhost:2.63.0"), short_image("shop"), short_image("r.io/shop:2@sha256:0123456789ab")
    ('agnhost:2.63.0', 'shop', 'shop:2@0123456')
    """
    name, at, digest = image.partition("@")
    short = name.rpartition("/")[2]
    return f"{short}@{digest.rpartition(':')[2][:7]}" if at else short


def short_images(images: Iterable[str]) -> str:
    """Several images in one cell, none twice.

    >>> short_images(["r.io/shop:2", "log:1", "mirror/shop:2"])
    'shop:2, log:1'
    """
    return ", ".join(dict.fromkeys(short_image(image) for image in images))
