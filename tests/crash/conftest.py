"""Failed assertions of the shared checks show their values too."""

import pytest

pytest.register_assert_rewrite("tests.support.campaign", "tests.support.day", "tests.support.up")
