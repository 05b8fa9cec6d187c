"""Values put into a file in place: not one other character of it changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.cli.linting.documents import documents
from fairlead.cli.sealing.splice import CannotEdit, Edit, spliced

VALUES = ("spec", "values")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("spec:\n  values:\n    a: old # why\n", "spec:\n  values:\n    a: new # why\n    b: more\n"),
        ("spec:\n  values:\n    a: old\n", "spec:\n  values:\n    a: new\n    b: more\n"),
        ("spec:\n  values:\n    a: old", "spec:\n  values:\n    a: new\n    b: more"),
        (
            "spec:\n    values:\n        a: 'old'\n    x: 1\n",
            "spec:\n    values:\n        a: 'new'\n        b: more\n    x: 1\n",
        ),
        ('spec:\n  values:\n    a: "old"\n\n# end\n', 'spec:\n  values:\n    a: "new"\n    b: more\n\n# end\n'),
        ("spec:\n  values:\n    a: |-\n      old\n  x: 1\n", "spec:\n  values:\n    a: new\n    b: more\n  x: 1\n"),
        ("spec:\n  values:\n    a: >-\n      old\n      er\n", "spec:\n  values:\n    a: new\n    b: more\n"),
        ("spec: {values: {a: old}} # x\n", 'spec: {values: {a: new, "b": "more"}} # x\n'),
        ('{"spec": {"values": {"a": "old"}}}', '{"spec": {"values": {"a": "new", "b": "more"}}}'),
        (
            '{\n  "spec": {\n    "values": {\n      "a": "old"\n    }\n  }\n}\n',
            '{\n  "spec": {\n    "values": {\n      "a": "new",\n      "b": "more"\n    }\n  }\n}\n',
        ),
        ("spec:\r\n  values:\r\n    a: old\r\n", "spec:\r\n  values:\r\n    a: new\r\n    b: more\r\n"),
    ],
)
def test_a_value_is_replaced_and_another_added_and_all_else_stays(before: str, after: str) -> None:
    assert spliced(before, 0, [Edit((*VALUES, "a"), "new"), Edit((*VALUES, "b"), "more")]) == after


def test_another_document_of_the_file_and_an_item_of_a_list_are_found_by_their_number() -> None:
    text = "a: 1\n---\nkind: List\nitems:\n- a: 2\n- a: 3\n"

    assert spliced(text, 2, [Edit(("a",), 4)]) == "a: 1\n---\nkind: List\nitems:\n- a: 2\n- a: 4\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("l:\n- n: a\n  v: {x: y}\nz: 1\n", "l:\n- n: a\n  v: {x: y}\n- n: b\nz: 1\n"),
        ("l:\n  - n: a\n", "l:\n  - n: a\n  - n: b\n"),
        ("l: [{n: a}]\n", 'l: [{n: a}, {"n": "b"}]\n'),
    ],
)
def test_a_list_gets_another_entry(before: str, after: str) -> None:
    assert spliced(before, 0, [Edit(("l", 1), {"n": "b"})]) == after


@pytest.mark.parametrize(
    "text",
    [
        "spec:\n  values: {}\n",
        "spec:\n  values:\n",
        "spec: {}\n",
        "x: &v {a: old}\nspec:\n  values: *v\n",
        "spec:\n  values:\n    a: &old old\n  x: *old\n",
        "spec:\n  values:\n    a: [1]\n",
    ],
)
def test_what_cannot_be_changed_in_place_is_left_alone(text: str) -> None:
    with pytest.raises(CannotEdit):
        spliced(text, 0, [Edit((*VALUES, "a"), "new")])


KEYS = st.text("abcdefgh-.", min_size=1, max_size=8).filter(lambda key: key.strip("-.") == key)
ENVELOPES = st.text("ABCDEFabcdef0123456789+/", min_size=1, max_size=60).map(lambda body: f"fl1:x:00:{body}==")


@settings(max_examples=40)
@given(
    st.dictionaries(KEYS, ENVELOPES, min_size=1, max_size=5),
    st.dictionaries(KEYS, ENVELOPES, max_size=5),
    st.sampled_from(["plain", "quoted", "flow"]),
)
def test_the_file_means_what_it_should_and_its_other_lines_are_the_same(
    before: dict[str, str], changes: dict[str, str], style: str
) -> None:
    quote = {"plain": "", "quoted": "'", "flow": '"'}[style]
    entries = [f"{quote}{key}{quote}: {quote}{value}{quote}" for key, value in before.items()]
    body = (
        " {" + ", ".join(entries) + "}" if style == "flow" else "".join(f"\n    {entry}  # mine" for entry in entries)
    )
    text = f"# head\nspec:\n  values:{body}\n  scope: Strict # kept\n"

    result = spliced(text, 0, [Edit((*VALUES, key), value) for key, value in changes.items()])

    assert next(documents(result)).value["spec"] == {"values": before | changes, "scope": "Strict"}
    kept = [
        line for line in text.splitlines() if not any(f"{key}{quote}: " in line for key in changes) and "{" not in line
    ]
    assert [line for line in result.splitlines() if line in kept] == kept
