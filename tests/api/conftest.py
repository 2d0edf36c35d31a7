"""The credentials with which the tests of the API call."""

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
