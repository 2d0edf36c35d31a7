"""The credentials with which the tests of the API call."""

from collections.abc import Iterator

import pytest

from tests.support.service import Client, Service


@pytest.fixture(scope="session")
def admin(service: Service) -> Client:
    """Greenhill's administrator: KES, Africa/Nairobi."""
    return service.client()


@pytest.fixture(scope="session")
def foreign(service: Service) -> Client:
    """Maple's administrator: CAD, America/Toronto."""
    return service.client(tenant="maple")


@pytest.fixture
def refusing(service: Service, admin: Client) -> Iterator[str]:
    """A wallet with 1000 in it; whatever the test asks, nothing is written."""
    account = admin.wallet(1000)
    with service.nothing_written():
        yield account
