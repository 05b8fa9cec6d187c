"""What every layer of tests shares."""

import pytest

# Test bodies that several layers import are no test modules by name; their assertions are to be as telling.
pytest.register_assert_rewrite("conformance.suite", "conformance.api", "support")
