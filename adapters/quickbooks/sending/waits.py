"""How long to leave QuickBooks alone after attempts in vain; waits of whoever counts its attempts itself."""

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random_exponential
from tenacity.wait import wait_base


def growing(*, first_seconds: float, max_seconds: float) -> wait_base:
    """A wait that doubles with each attempt up to a most, its second half at random.

    So it is never near nothing, and senders do not come back in step.
    """
    certain = wait_exponential(multiplier=first_seconds / 2, max=max_seconds / 2)
    return certain + wait_random_exponential(multiplier=first_seconds / 2, max=max_seconds / 2)


def seconds_after(attempts: int, wait: wait_base) -> float:
    """How long `wait` lasts after so many attempts in vain."""
    state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempts
    return wait(state)
