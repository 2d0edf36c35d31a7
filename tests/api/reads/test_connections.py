"""No read holds two connections, and many of them at once are all answered."""

from concurrent.futures import ThreadPoolExecutor

import httpx
from psycopg_pool import AsyncConnectionPool

from adapters.postgres.store import PostgresStore
from api.app import Application
from api.operations import READS
from api.services import Services
from application.pipeline.writer import Writer
from domain.receipt import ReceiptSigner
from tests.support.given import on_a_loop


def test_every_read_takes_one_connection_at_a_time(service, admin):
    account = admin.wallet(100)
    examples = {
        "account": account,
        "invoice": admin.invoice()["id"],
        "sale": admin.checkout([100], {"type": "cash"}).json()["sale"]["id"],
        "code": next(iter(admin.accounts().values()))["code"],
        "batch": admin.post("quickbooks/export", {}).json()["batch_id"],
        "token": admin.top_up(account, 5).json()["receipt"]["qr"].rpartition("/")[2],
    }

    @on_a_loop
    async def ask_for_everything() -> None:
        receipts = ReceiptSigner(
            key_id="k1",
            key=bytes.fromhex(service.env["BURSAR_RECEIPT_KEY"]),
            page_url="",
        )
        services = Services(
            writer=Writer(PostgresStore(""), receipts=receipts), reader_url="", receipts=receipts, version="1"
        )
        services.pool = AsyncConnectionPool(
            service.urls["bursar_reader"],
            min_size=1,
            max_size=1,
            timeout=1,
            open=False,
            kwargs={"autocommit": True},
        )
        services.projected.position = service.head()  # nobody tells it of news here
        async with (
            services.pool,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(Application(services)),
                base_url="http://bursar",
                headers={"Authorization": admin.http.headers["authorization"]},
            ) as client,
        ):
            for form in READS.values():
                answer = await client.get(
                    f"/v2/finance{form.path.format(**examples)}",
                    params={**form.query, **examples_of(form.query)},
                )
                assert answer.status_code == 200, (form.path, answer.text)

    def examples_of(query: dict[str, str]) -> dict[str, str]:
        return {name: examples[name] for name in query if name in examples}

    ask_for_everything()


def test_more_pings_at_once_than_connections(admin):
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: admin.get("ping"), range(320)))
    assert {answer.status_code for answer in answers} == {200}
