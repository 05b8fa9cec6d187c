"""One manifest's text to what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from fairlead.cli.linting import packaged
from fairlead.cli.linting.advice import warnings
from fairlead.cli.linting.documents import Document, Path, Unreadable, documents
from fairlead.cli.linting.metadata import check_metadata
from fairlead.cli.linting.schema import Finding, check, with_defaults, without_nulls
from fairlead.core.meta import API_VERSION, GROUP
from fairlead.view.inert import one_line


class Remark(msgspec.Struct, frozen=True):
    """A finding with its place. `object` is like App/shop, `path` like spec.rollout.maxSurge."""

    file: str
    line: int
    object: str
    path: str
    level: Literal["error", "warning"]
    message: str


class Report(msgspec.Struct):
    """What was found in all files. `checked` counts our objects, `skipped` those of other APIs."""

    remarks: list[Remark] = []
    checked: int = 0
    skipped: int = 0

    @property
    def errors(self) -> int:
        return sum(remark.level == "error" for remark in self.remarks)

    @property
    def warnings(self) -> int:
        return len(self.remarks) - self.errors


class Linter:
    """Collects a report over any number of files: an object that is there twice is found across them too."""

    def __init__(self) -> None:
        self.report = Report(remarks=[])
        self._seen: dict[tuple[str, str, str], str] = {}

    def file(self, name: str, text: str) -> None:
        """Check all documents of one file."""
        before = len(self.report.remarks)
        try:
            for document in documents(text):
                self._document(name, document)
        except Unreadable as error:
            self.report.remarks.append(Remark(name, error.line, "", "", "error", error.message))
        self.report.remarks[before:] = sorted(self.report.remarks[before:], key=lambda remark: remark.line)

    def _document(self, file: str, document: Document) -> None:
        value = document.value
        if not isinstance(value, dict):
            self._remark(
                file,
                document,
                "",
                Finding((), "this is no object: it must have apiVersion, kind, metadata and spec"),
                "error",
            )
            return
        api_version, kind = value.get("apiVersion"), value.get("kind")
        subject = _subject(value)
        if not api_version or not kind:
            missing = " and ".join(repr(key) for key in ("apiVersion", "kind") if not value.get(key))
            self._remark(
                file,
                document,
                subject,
                Finding((), f"{missing} missing: an App begins with apiVersion: {API_VERSION}, kind: App"),
                "error",
            )
            return
        schema = packaged.schema(api_version, kind)
        if schema is None and not str(api_version).startswith(f"{GROUP}/"):
            self.report.skipped += 1
            return
        self.report.checked += 1
        findings = [Finding((), _no_kind(api_version, kind))] if schema is None else list(_errors(value, schema))
        findings += self._twice(file, value)
        for finding in findings:
            self._remark(file, document, subject, finding, "error")
        for line, path in document.repeated:
            self.report.remarks.append(
                Remark(
                    file, line, subject, dotted(path), "error", "this key is there twice: only the last one would count"
                )
            )
        if schema is not None and kind == "App" and not findings:
            for finding in warnings(with_defaults(without_nulls(value, schema), schema)):
                self._remark(file, document, subject, finding, "warning")

    def _twice(self, file: str, value: dict[str, Any]) -> Iterator[Finding]:
        metadata = value.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name"):
            return
        identity = (str(value["kind"]), str(metadata.get("namespace", "")), str(metadata["name"]))
        if identity in self._seen:
            yield Finding(
                ("metadata", "name"),
                f"there is another {identity[0]} {identity[2]} in {self._seen[identity]}: only the last one applied would count",
            )
        self._seen.setdefault(identity, file)

    def _remark(
        self, file: str, document: Document, subject: str, finding: Finding, level: Literal["error", "warning"]
    ) -> None:
        message = one_line(finding.message)
        self.report.remarks.append(
            Remark(file, document.line(finding.path), subject, dotted(finding.path), level, message)
        )


def _errors(value: dict[str, Any], schema: dict[str, Any]) -> Iterator[Finding]:
    yield from check_metadata(value.get("metadata"))
    yield from (finding for finding in check(value, schema) if finding.path != ("metadata",))


def _no_kind(api_version: Any, kind: Any) -> str:
    kinds = [name for version, name in packaged.kinds() if version == api_version]
    if not kinds:
        versions = sorted({version for version, _ in packaged.kinds()})
        return f"there is no version {one_line(str(api_version))} of this API: use {', '.join(versions)}"
    near = difflib.get_close_matches(str(kind), kinds, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(sorted(kinds))}"
    return f"there is no kind {one_line(str(kind))} in {one_line(str(api_version))}: {hint}"


def _subject(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") or metadata.get("generateName") if isinstance(metadata, dict) else None
    return one_line(f"{value.get('kind') or '?'}/{name or '?'}")


def dotted(path: Path) -> str:
    """A path as people write it.

    >>> dotted(("spec", "template", "spec", "containers", 0, "image")), dotted(("metadata", "labels", "a.b/c"))
    ('spec.template.spec.containers[0].image', 'metadata.labels[a.b/c]')
    """
    text = ""
    for step in path:
        plain = isinstance(step, str) and step.replace("-", "").replace("_", "").isalnum()
        text += f"[{step}]" if not plain else f".{step}"
    return one_line(text.lstrip("."))
