"""Failed assertions of the shared checks show their values too."""

import pytest

pytest.register_assert_rewrite("tests.support.day", "tests.support.up")
