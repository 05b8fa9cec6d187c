"""What was measured along the way, told at the end of the run whether tests passed or not."""

_told: list[str] = []


def tell(line: str) -> None:
    print(line)  # with the test's own output too
    _told.append(line)


def told() -> list[str]:
    return list(_told)
