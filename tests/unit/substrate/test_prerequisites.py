"""What a person is told whose machine lacks something."""

import pytest

from substrate.prerequisites import PREREQUISITES, advice

MISSING = [PREREQUISITES["docker"], PREREQUISITES["libseccomp"]]


@pytest.mark.parametrize(
    ("distribution", "command"),
    [
        ("debian", "sudo apt-get install --yes docker.io libseccomp-dev"),
        ("fedora", "sudo dnf install moby-engine libseccomp-devel libseccomp-static"),
        ("arch", "sudo pacman -S --needed docker libseccomp"),
        ("suse", "sudo zypper install docker libseccomp-devel"),
    ],
)
def test_the_command_to_paste_is_the_distributions_own(distribution: str, command: str) -> None:
    assert command in advice(MISSING, distribution, root=False)


def test_root_is_not_told_to_use_sudo() -> None:
    assert "sudo" not in advice(MISSING, "fedora", root=True)


def test_elsewhere_it_says_what_each_is_for() -> None:
    text = advice(MISSING, "", root=False)

    assert "runs the kind nodes" in text
    assert "docker.io libseccomp-dev" in text
