"""The documentation holds what the code does: every reason, metric, setting, command, link and manifest in it."""

import doctest
import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import gen_docs
from fairlead.cli.linting.check import Linter
from fairlead.cli.main import program
from fairlead.metrics.series import TABLE
from fairlead.settings import SecretSettings, WorkloadSettings, describe
from fairlead.view.advice import CATALOGUE
from gen import markdown, pages, reasons
from gen.reasons import PACKAGE
from support.commands import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [
        *DOCS.rglob("*.md"),
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "charts/fairlead/README.md")),
    ]
)
MADE_BY_BENCH = DOCS / "benchmarks.md"  # made by `make bench`, on a machine that has an hour for it
SMALLEST = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "App",
    "metadata": {"name": "shop"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "shop:1",
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
                        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                    }
                ]
            }
        }
    },
}


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def named(found: list[Any]) -> Any:
    return pytest.mark.parametrize("page", found, ids=name)


# ---------------------------------------------------------------- reasons, metrics, settings


def test_every_reason_that_can_be_in_a_status_has_a_section_in_troubleshooting() -> None:
    assert not (reasons.words() | CATALOGUE.keys()) - explained(), "docs/troubleshooting.md lacks these"


def test_troubleshooting_has_no_section_for_what_nobody_says_any_more() -> None:
    sections = {word for word in pages.sections() if re.fullmatch(r"([A-Z]\w*){2,}|Pending|Paused|Completed", word)}

    assert sections <= reasons.words() | CATALOGUE.keys()


def test_every_reason_of_the_sealed_kinds_is_explained_on_their_pages() -> None:
    told = {
        word
        for path in (PACKAGE / "secrets").glob("*.py")
        for word in re.findall(
            r'(?:Condition\("(?:Ready|Synced)", "\w+", |(?:Problem|Obstacle|EnvelopeError|SealedSecretError|Unsigned)\((?:\w+, )?)\s*"([A-Z]\w+)"',
            folded(path),
        )
    }
    pages = (DOCS / "secrets.md").read_text() + (DOCS / "keys.md").read_text()

    assert len(told) > 20
    assert not {word for word in told if f"`{word}`" not in pages}


def folded(path: Path) -> str:
    """A source with its line breaks and indents gone."""
    return re.sub(r"\(\s+", "(", re.sub(r",\s+", ", ", path.read_text()))


def explained() -> set[str]:
    """Reasons with a section, or with a row in the table of those that ask for nothing."""
    text = (DOCS / "troubleshooting.md").read_text()
    return set(pages.sections()) | set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_every_metric_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "metrics.md").read_text()

    assert not [series.name for series in TABLE if f"| `{series.name}` |" not in text], "run hack/gen_docs.py"


def test_every_metric_that_is_recommended_for_watching_exists() -> None:
    used = {word for expression, _ in pages.WATCHED for word in re.findall(r"fairlead_\w+", expression)}

    assert used <= {series.name for series in TABLE}


def test_every_setting_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "settings.md").read_text()

    told = [setting for kind in (WorkloadSettings, SecretSettings) for setting in describe(kind)]

    assert not [setting.flag for setting in told if f"| `{setting.flag}` |" not in text], "run hack/gen_docs.py"


@pytest.mark.parametrize("page", list(pages.PAGES))
def test_a_generated_page_is_what_the_code_makes(page: str) -> None:
    text = (DOCS / "reference" / f"{page}.md").read_text()

    assert text == pages.PAGES[page](), "run hack/gen_docs.py"


@pytest.mark.parametrize("module", [reasons, markdown, pages, gen_docs], ids=lambda module: module.__name__)
def test_the_examples_in_the_generators_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


def test_code_whose_reason_cannot_be_followed_is_named() -> None:
    unclear = reasons.Module('def f(x):\n    return Condition("Ready", "False", made_up(x), "")\n', "some.py")

    with pytest.raises(ValueError, match=r"some.py:2: cannot tell .*made_up"):
        list(unclear.reasons())


# ---------------------------------------------------------------- bad inputs by number


def test_the_numbered_bad_inputs_in_the_limits_are_those_that_tests_show() -> None:
    text = (DOCS / "limits.md").read_text()
    listed = {
        int(number): {(DOCS / link).resolve() for link in markdown.links(shown)}
        for number, shown in re.findall(r"^\| (\d+) \|.*\|([^|]*)\|$", text, re.MULTILINE)
    }
    tested: dict[int, set[Path]] = {}
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        for number in re.findall(r"def test_trust_(\d+)_", path.read_text()):
            tested.setdefault(int(number), set()).add(path.resolve())

    assert listed == tested, "docs/limits.md, the table of bad inputs: number -> files of the tests"


# ---------------------------------------------------------------- tests by name


def test_every_test_that_the_comparison_with_others_names_is_in_its_file() -> None:
    """`test_some_words_…` stands for a longer name."""
    text = (DOCS / "parity.md").read_text()
    named = re.findall(r"\[`(test_\w+)(…?)`\]\(([^)#]+)\)", text)
    rest = {"": "", "…": r"\w*"}
    missing = [
        (start, target)
        for start, more, target in named
        if not re.search(rf"def {start}{rest[more]}\(", (DOCS / target).read_text())
    ]

    assert named
    assert not missing, "docs/parity.md: tests that are not there"


# ---------------------------------------------------------------- links


@named(PAGES)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    assert not list(dead(page))


def dead(page: Path) -> Iterator[str]:
    for target in markdown.links(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if there == MADE_BY_BENCH:
            continue
        if not there.exists() or (fragment and fragment not in map(markdown.anchor, headings(there))):
            yield target


def headings(page: Path) -> list[str]:
    return markdown.headings(page.read_text())


def test_decisions_are_numbered_in_a_row() -> None:
    """Two that are written at the same time tend to take the same number."""
    decisions = sorted((DOCS / "adr").glob("*.md"))
    titles = [path.read_text().partition("\n")[0] for path in decisions]
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    assert [title.split(".")[0] for title in titles] == [f"# {number}" for number in range(1, len(decisions) + 1)]


def test_every_page_can_be_reached_from_the_index() -> None:
    """A link to a folder reaches the pages in it."""
    reached: set[Path] = set()
    todo = [REPOSITORY / "README.md", DOCS / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in markdown.links(page.read_text()):
            there = (page.parent / target.partition("#")[0]).resolve()
            todo += (
                there.glob("*.md") if there.is_dir() else [there] if there.suffix == ".md" and there.exists() else []
            )

    assert {page for page in PAGES if DOCS in page.parents} <= reached


# ---------------------------------------------------------------- manifests


def manifests(page: Path) -> Iterator[tuple[int, str]]:
    """(line, YAML) of each block that is an App, or a part of one: what begins with `spec:` is laid over the smallest App."""
    for block in markdown.blocks(page.read_text()):
        if block.language not in ("yaml", "yml"):
            continue
        first = next((line for line in block.body.splitlines() if line.strip() and not line.startswith("#")), "")
        if first.startswith("apiVersion: fairlead.dev/"):
            yield block.line, block.body
        elif first.startswith("spec:"):
            yield block.line, yaml.safe_dump(laid_over(SMALLEST, yaml.safe_load(block.body)))


def laid_over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


@named([page for page in PAGES if list(manifests(page))])
def test_every_app_on_a_page_is_one_that_lint_has_nothing_against(page: Path) -> None:
    for line, text in manifests(page):
        linter = Linter()
        linter.file(f"{name(page)}:{line}", text)

        assert linter.report.checked == 1
        assert not linter.report.remarks


def test_the_pages_of_apps_do_show_some() -> None:
    assert sum(len(list(manifests(DOCS / page))) for page in ("app.md", "tasks.md")) >= 5


# ---------------------------------------------------------------- commands


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command in the shell blocks, pipes and chains taken apart."""
    for block in markdown.blocks(page.read_text()):
        if block.language not in ("sh", "bash"):
            continue
        for line in lines(re.sub(r"\$\([^)]*\)", "SUBSTITUTED", block.body)):
            words = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
            words.whitespace_split = True
            for control, part in groupby(words, key=lambda word: not word.strip(";|&<>")):
                if not control:
                    yield list(part)


def lines(text: str) -> Iterator[str]:
    """Lines as the shell takes them: a backslash at the end or an open quote goes on in the next one."""
    pending = ""
    for line in text.replace("\\\n", " ").splitlines():
        pending += line + "\n"
        try:
            shlex.split(pending, comments=True)
        except ValueError:
            continue
        yield pending
        pending = ""


def fairlead_commands(page: Path) -> list[list[str]]:
    found = []
    for words in commands(page):
        if words[0] == "fairlead":
            found.append(words[1:])
        elif words[:2] == ["kubectl", "fairlead"]:
            found.append(words[2:])
    return found


@named([page for page in PAGES if fairlead_commands(page)])
def test_every_fairlead_command_on_a_page_is_one_that_the_program_takes(page: Path) -> None:
    for words in fairlead_commands(page):
        accept(program, list(words))


def accept(command: click.Command, words: list[str]) -> None:
    """Parse without doing anything."""
    context = click.Context(command, info_name="fairlead")
    while isinstance(command, click.Group):
        command.parse_args(context, words)
        rest = [*context._protected_args, *context.args]
        if not rest and command.invoke_without_command:
            return
        verb, command, words = command.resolve_command(context, rest)
        assert command is not None, verb
        context = click.Context(command, info_name=verb, parent=context)
    command.make_context(str(command.name), words, parent=context.parent)


@named([page for page in PAGES if any(words[0] == "make" for words in commands(page))])
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))

    assert {words[1] for words in commands(page) if words[0] == "make"} <= targets


@named(PAGES)
def test_every_file_that_a_command_on_a_page_names_exists(page: Path) -> None:
    """Files of this repository: those under examples/, charts/, crds/ and hack/."""
    for words in commands(page):
        for word in words:
            if re.match(r"(examples|charts|crds|hack)/", word) and not word.endswith("/..."):
                assert (REPOSITORY / word).exists(), word
