"""Failed assertions of the shared checks show their values too."""

import pytest

pytest.register_assert_rewrite("tests.e2e.support_day", "tests.support_up")
