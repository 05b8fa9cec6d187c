"""Write a docker-archive of single-layer images made of local files, without a Docker daemon."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from substrate.golang import architecture

_PATH = "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
_CREATED = "2026-01-01T00:00:00Z"  # any fixed moment: the same files make the same image


@dataclass(frozen=True)
class Link:
    """A symbolic link in an image."""

    target: str


@dataclass(frozen=True)
class Image:
    tag: str
    files: Mapping[str, Path | Link]
    """What stands where in the image."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


def write(path: Path, images: Iterable[Image]) -> None:
    """Write all images into one archive, as `docker load`, `ctr import` and kind read it."""
    images = tuple(images)
    repositories: dict[str, dict[str, str]] = {}
    for image in images:
        name, tag = image.tag.rsplit(":", 1)
        repositories.setdefault(name, {})[tag] = "0" * 64
    manifest = []
    written: set[str] = set()
    with tarfile.open(path, "w") as out:
        # kind reads the tags from the first of 'repositories' and 'manifest.json', and of the latter only the first image.
        _add(out, "repositories", json.dumps(repositories).encode())
        for image in images:
            data = _layer(image.files)
            digest = hashlib.sha256(data).hexdigest()
            configuration = json.dumps(_configuration(image, digest)).encode()
            name = hashlib.sha256(configuration).hexdigest() + ".json"
            for file, content in ((name, configuration), (f"{digest}/layer.tar", data)):
                if file not in written:
                    _add(out, file, content)
                    written.add(file)
            manifest.append({"Config": name, "RepoTags": [image.tag], "Layers": [f"{digest}/layer.tar"]})
        _add(out, "manifest.json", json.dumps(manifest).encode())


def _configuration(image: Image, digest: str) -> dict[str, object]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": _CREATED,
        "config": {
            "Env": [_PATH],
            "Entrypoint": list(image.entrypoint) or None,
            "Cmd": list(image.command) or None,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": _CREATED}],
    }


def _layer(files: Mapping[str, Path | Link]) -> bytes:
    buffer = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add_folder(tar, "tmp", 0o1777)
        for target, source in files.items():
            place = PurePosixPath(target.lstrip("/"))
            for parent in reversed(place.parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    _add_folder(tar, str(parent), 0o755)
            info = tarfile.TarInfo(str(place))
            if isinstance(source, Link):
                info.type, info.linkname = tarfile.SYMTYPE, source.target
                tar.addfile(info)
                continue
            info.size, info.mode = source.stat().st_size, source.stat().st_mode & 0o777 | 0o444
            with source.open("rb") as file:
                tar.addfile(info, file)
    return buffer.getvalue()


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
