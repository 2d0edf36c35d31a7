"""Waits that grow: within their bounds, and not the same for everybody."""

import pytest

from adapters.quickbooks.sending.waits import growing, seconds_after


@pytest.mark.parametrize(
    ("attempts", "whole"), [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (5000, 60.0)]
)
def test_a_wait_is_between_the_half_and_the_whole_of_what_doubles_up_to_the_most(
    attempts: int, whole: float
) -> None:
    wait = growing(first_seconds=1.0, max_seconds=60.0)
    waits = [seconds_after(attempts, wait) for _ in range(200)]
    assert whole / 2 <= min(waits) < max(waits) <= whole
