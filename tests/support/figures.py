"""What was measured along the way, told at the end of the run whether tests passed or not.

A pytest plugin: a figure travels with its test's report, so it arrives whichever process ran the test.
"""

from collections.abc import Generator

import pytest

_NAME = "figure"
_told: list[str] = []


def tell(line: str) -> None:
    """A measured figure, in words. Of a fixture, it is told with the test that asked for the fixture first."""
    print(line)  # with the test's own output too
    _told.append(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.user_properties = [*report.user_properties, *((_NAME, line) for line in _told)]
    _told.clear()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for sort in terminalreporter.stats.values() for report in sort]
    lines = [line for report in reports for name, line in getattr(report, "user_properties", ()) if name == _NAME]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
