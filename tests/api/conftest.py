"""The credentials with which the tests of the API call; and whatever is answered is checked."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.document import check
from tests.support.service import Client, Service


@pytest.fixture(scope="module", autouse=True)  # of these modules alone: others talk to servers of their own
def documented() -> Iterator[None]:
    """Every answer to a test of the API is one that the document promises."""
    send = httpx.Client.send

    def checking(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = send(client, request, **options)
        if response.is_stream_consumed:
            media_type = response.headers.get("content-type", "")
            path = request.url.raw_path.decode().partition("?")[0]
            check(request.method, path, response.status_code, media_type, response.content)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", checking)
        yield


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
