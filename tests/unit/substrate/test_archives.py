"""Images are written without a Docker daemon, in the form that kind and containerd read."""

import json
import tarfile
from pathlib import Path

from substrate.archives import Image, Link, write


def test_an_archive_names_its_images_first_and_holds_their_files(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    archive = tmp_path / "images.tar"

    write(
        archive,
        [Image("example.org/a/tool:1", {"/usr/bin/tool": program, "/usr/bin/alias": Link("tool")}, ("/usr/bin/tool",))],
    )

    with tarfile.open(archive) as tar:
        assert tar.getnames()[0] == "repositories"  # kind takes the tags from there, if it comes first
        file = tar.extractfile("manifest.json")
        assert file
        (manifest,) = json.load(file)
        assert manifest["RepoTags"] == ["example.org/a/tool:1"]
        with tarfile.open(fileobj=tar.extractfile(manifest["Layers"][0])) as layer:
            assert layer.getmember("usr/bin/tool").mode == 0o755
            assert layer.getmember("usr/bin/alias").linkname == "tool"


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    image = Image("example.org/a/tool:1", {"/file": Path(__file__)})

    write(tmp_path / "one.tar", [image])
    write(tmp_path / "two.tar", [image])

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
