"""Load that keeps account of every answer, and kills at random, while it runs."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.day import check_agreement, check_log, export, nothing_created, together
from tests.support.up import Client, Up

HOT = "HOT-WALLET"
PATIENCE_SECONDS = 180.0
EXPECTED_REFUSALS = frozenset(
    {"insufficient_funds", "reference_already_used", "refund_exceeds_sale", "already_reversed"}
)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A command, and the final answer to it: the bytes of a single one, the decoded result of one in bulk."""

    method: str
    path: str
    body: Mapping[str, Any]
    key: str
    accepted: bool
    content: bytes = b""
    result: Any = None


@dataclass
class Account:
    """What every client was told. `hot` is what the hot wallet must hold by what was acknowledged."""

    sent: list[Sent] = field(default_factory=list)
    exports: list[Mapping[str, Any]] = field(default_factory=list)
    export_keys: list[str] = field(default_factory=list)
    hot: int = 0
    again: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def acknowledged(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.accepted]

    @property
    def refused(self) -> list[Sent]:
        return [sent for sent in self.sent if not sent.accepted]


class Till:
    """One client: its own wallets and the hot one, one command after the other, each until it is answered."""

    def __init__(self, client: Client, account: Account, *, name: str, seed: str) -> None:
        self._client = client
        self._account = account
        self._name = name
        self._chance = random.Random(seed)
        self._numbers = 0
        self._own = [f"{name}-A", f"{name}-B"]
        self._sales: list[str] = []
        self._references: list[str] = []
        self._reversible: list[str] = []

    def run(self, stop: threading.Event, pause_seconds: float) -> None:
        for wallet in self._own:
            self._write("POST", "wallets", {"account": wallet, "currency": "KES"})
        kinds = [self._hot, self._top_up, self._charge, self._sell, self._refund, self._bill, self._bulk]
        kinds.append(self._take_back)
        while not stop.wait(pause_seconds):
            self._chance.choice(kinds)()

    def _hot(self) -> None:
        if self._chance.random() < 0.6:
            body = {"amount": 700, "currency": "KES", "source": {"type": "cash"}}
            moved, path = 700, f"wallets/{HOT}/top-up"
        else:
            body = {"amount": 900, "currency": "KES", "description": "Tea"}
            moved, path = -900, f"wallets/{HOT}/charge"
        if self._write("POST", path, body) is not None:
            with self._account.lock:
                self._account.hot += moved

    def _top_up(self) -> None:
        if self._references and self._chance.random() < 0.1:
            reference = self._chance.choice(self._references)  # refused
        else:
            reference = f"MPESA{self._name}{self._numbers}"
            self._references.append(reference)
        source = {"type": "mpesa", "reference": reference}
        body = {"amount": self._chance.randint(1, 90_000), "currency": "KES", "source": source}
        self._write("POST", f"wallets/{self._wallet()}/top-up", body)

    def _charge(self) -> None:
        body = {"amount": self._chance.randint(1, 60_000), "currency": "KES", "description": "Library"}
        self._may_be_reversed(self._write("POST", f"wallets/{self._wallet()}/charge", body))  # often refused

    def _may_be_reversed(self, answer: Any) -> None:
        if answer is not None:
            self._reversible.append(answer["transaction_id"])

    def _take_back(self) -> None:
        if self._reversible:
            chosen = self._chance.choice(self._reversible[-6:])  # some of them twice
            self._write("POST", f"transactions/{chosen}/reverse", {"reason": "Wrong"})

    def _sell(self) -> None:
        sold = self._write("POST", "pos/checkout", self._checkout())
        if sold is not None:
            self._sales.append(sold["sale"]["id"])

    def _checkout(self) -> dict[str, Any]:
        lines = [
            {"sku": "MEAL", "quantity": 3, "unit_amount": self._chance.randint(1, 9_000), "income": "meals"},
            {"sku": "PEN", "quantity": 2, "total": self._chance.randint(1, 9_000), "income": "shop"},
        ]
        for line in lines:
            line["tax_code"] = "A"
        tenders = self._chance.choice(
            [
                [{"type": "wallet"}],
                [{"type": "wallet"}, {"type": "cash"}],
                [{"type": "card", "amount": 2}, {"type": "cash"}],
            ]
        )
        return {"wallet": self._wallet(), "currency": "KES", "lines": lines, "tenders": tenders}

    def _refund(self) -> None:
        if self._sales:
            what = self._chance.choice([{"lines": [{"line": 1, "quantity": 1}]}, {"amount": 1_000}])
            self._write("POST", "pos/refund", {"sale": self._chance.choice(self._sales[-5:]), **what})

    def _bill(self) -> None:
        wallet = self._wallet()
        funded = {"amount": 5_000, "currency": "KES", "source": {"type": "bank"}}
        self._write("POST", f"wallets/{wallet}/top-up", funded)
        lines = [
            {"description": "Tuition", "quantity": 1, "total": 90_000, "income": "tuition", "tax_code": "A"}
        ]
        body = {"payer": wallet, "currency": "KES", "due_date": "2026-12-31", "lines": lines, "issue": True}
        invoice = self._write("POST", "invoices", body)
        assert invoice is not None
        first = [
            {"type": "wallet", "amount": 5_000, "account": wallet},
            {"type": "bank", "amount": 1_000},
        ]
        paid = self._write("PATCH", f"invoices/{invoice['id']}", {"settle": {"tenders": first}})
        self._may_be_reversed(paid)
        tenders = [
            {"type": "card", "amount": 40_000},
            {"type": "cash", "amount": self._chance.choice([30_000, 50_000])},  # a part, or an excess
        ]
        self._write("PATCH", f"invoices/{invoice['id']}", {"settle": {"tenders": tenders}})

    def _bulk(self) -> None:
        elements: list[dict[str, Any]] = []
        for _ in range(5):
            wallet, key = self._wallet(), self._key()
            data = {"account": wallet, "amount": 3_000, "currency": "KES", "source": {"type": "cash"}}
            elements.append({"action": "wallet.top_up", "idempotency_key": key, "data": data})
            data = {"account": wallet, "amount": 3_500, "currency": "KES", "description": "Bus"}
            elements.append({"action": "wallet.charge", "idempotency_key": self._key(), "data": data})
        for element, result in zip(elements, self._client.bulk(elements), strict=True):
            accepted = result["status"] == 201
            assert accepted or result["code"] in EXPECTED_REFUSALS, result
            self._note(
                Sent(
                    method="BULK",
                    path=element["action"],
                    body=element["data"],
                    key=element["idempotency_key"],
                    accepted=accepted,
                    result=result,
                )
            )

    def _wallet(self) -> str:
        return self._chance.choice(self._own)

    def _key(self) -> str:
        self._numbers += 1
        return f"{self._name}-{self._numbers:08}"

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """The answer's body; None where it was refused."""
        key = self._key()
        response = self._client.write(method, path, body, key)
        accepted = response.is_success
        assert accepted or response.json()["code"] in EXPECTED_REFUSALS, response.text
        self._note(
            Sent(method=method, path=path, body=body, key=key, accepted=accepted, content=response.content)
        )
        return response.json() if accepted else None

    def _note(self, sent: Sent) -> None:
        with self._account.lock:
            self._account.sent.append(sent)


@contextmanager
def load(
    up: Up, account: Account, *, name: str, pause_seconds: float = 0.0, tills: int = 3, url: str = ""
) -> Iterator[Callable[[], None]]:
    """Clients at work until the block ends, and one export after another. Yields a check that none has failed.

    They ask the API of `up`, or another one at `url`.
    """
    stop = threading.Event()
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - of a thread: `check` raises it in the test's own
            failures.append(error)

    def check() -> None:
        if failures:
            raise failures[0]

    clients = [Client(url or up.url, up.key, patience_seconds=PATIENCE_SECONDS) for _ in range(tills + 1)]
    first = clients[0].write("POST", "wallets", {"account": HOT, "currency": "KES"}, "open-hot-wallet")
    assert first.is_success, first.text
    workers = [
        Till(client, account, name=f"{name}{number}", seed=f"{name}{number}").run
        for number, client in enumerate(clients[1:])
    ]
    threads = [
        threading.Thread(target=guarded, args=(lambda worker=worker: worker(stop, pause_seconds),))
        for worker in workers
    ]
    threads.append(
        threading.Thread(target=guarded, args=(lambda: _exports(clients[0], account, name, stop),))
    )
    for thread in threads:
        thread.start()
    try:
        yield check
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for client in clients:
            account.again += client.again
            client.close()
    check()


def _exports(client: Client, account: Account, name: str, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        key = f"{name}-export-{number:04}"
        account.export_keys.append(key)
        account.exports.append(export(client, key))
        stop.wait(0.5)


def kill_parts(
    up: Up,
    *,
    seconds: float,
    every: tuple[float, float],
    check: Callable[[], None],
    spared: Collection[str] = (),
) -> Counter[str]:
    """Kill -9 one part after the other, in an order and at moments of chance, all as often. Returns how often."""
    chance = random.Random(time.time_ns())
    kills: Counter[str] = Counter()
    end = time.monotonic() + seconds
    waiting: list[str] = []
    while time.monotonic() < end:
        check()
        if not waiting:
            waiting = sorted({*up.pids}.difference(spared))
            chance.shuffle(waiting)
        time.sleep(chance.uniform(*every))
        part = waiting.pop()
        up.kill_part(part)
        kills[part] += 1
    return kills


def top_up_in_bulk(up: Up, account: Account, wallet: str, *, count: int, name: str) -> None:
    """So many top-ups of a wallet at once, for streams that are long enough to have snapshots."""
    data = {"account": wallet, "amount": 100, "currency": "KES", "source": {"type": "cash"}}
    elements = [
        {"action": "wallet.top_up", "idempotency_key": f"{name}-{number:06}", "data": data}
        for number in range(count)
    ]
    with Client(up.url, up.key) as client:
        results = client.bulk(elements)
    for element, result in zip(elements, results, strict=True):
        assert result["status"] == 201, result
        account.sent.append(
            Sent(
                method="BULK",
                path="wallet.top_up",
                body=data,
                key=str(element["idempotency_key"]),
                accepted=True,
                result=result,
            )
        )
    with account.lock:
        account.hot += 100 * count * (wallet == HOT)


# --- afterwards


def check_everything(up: Up, account: Account) -> None:
    """No accepted money is lost and none doubled; read tables, the export and the log agree."""
    up.wait_until_all_run()
    with Client(up.url, up.key) as client:
        export(client)
        check_agreement(up, client)
        check_answers(up, account)
        with nothing_created(up):
            export(client)
        check_agreement(up, client)
    check_log(up)


def check_answers(up: Up, account: Account) -> None:
    """What was acknowledged is there once and is answered again as it was; nothing else is there."""
    keys = {
        key
        for (key,) in up.rows(
            "SELECT idempotency_key FROM commands WHERE tenant = %s AND client <> 'operator' "
            "AND idempotency_key IS NOT NULL",
            up.ready["tenant"],
        )
    }
    acknowledged = [sent.key for sent in account.acknowledged]
    assert len(acknowledged) == len(set(acknowledged))
    expected = {*acknowledged, *account.export_keys, "open-hot-wallet"}
    assert (sorted(expected - keys), sorted(keys - expected)) == ([], [])  # lost, and not acknowledged
    single = [sent for sent in account.acknowledged if sent.method != "BULK"]
    in_bulk = [sent for sent in account.acknowledged if sent.method == "BULK"]
    with Client(up.url, up.key) as client:
        lanes = [single[start::4] for start in range(4)]
        together([lambda lane=lane: [_check_replay(client, sent) for sent in lane] for lane in lanes])
        for start in range(0, len(in_bulk), 1000):
            _check_bulk_replay(client, in_bulk[start : start + 1000])
        assert client.get(f"wallets/{HOT}")["balance"] == account.hot


def _check_replay(client: Client, sent: Sent) -> None:
    response = client.write(sent.method, sent.path, sent.body, sent.key)
    assert response.headers.get("Idempotency-Replayed") == "true"
    assert response.content == sent.content


def _check_bulk_replay(client: Client, sent: Sequence[Sent]) -> None:
    elements = [{"action": one.path, "idempotency_key": one.key, "data": one.body} for one in sent]
    for one, result in zip(sent, client.bulk(elements), strict=True):
        assert result == {**one.result, "replayed": True}
