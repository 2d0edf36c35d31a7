"""The emulator as tests meet it: a process of its own, and the real client libraries pointed at it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from intuitlib.client import AuthClient
from intuitlib.enums import Scopes
from quickbooks import QuickBooks

ROOT = Path(__file__).parents[2]
TOKEN = "test-token"
_LAUNCH = """
import sys
from pathlib import Path
from adapters.quickbooks.emulator.server import run
run(host="127.0.0.1", port=int(sys.argv[2]), data_file=Path(sys.argv[1]), access_token=sys.argv[3],
    ready=lambda port: print(port, flush=True))
"""


class Emulator:
    """A running emulator on `data_file`."""

    def __init__(self, data_file: Path, port: int = 0) -> None:
        command = [sys.executable, "-c", _LAUNCH, str(data_file), str(port), TOKEN]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)

    def end(self, *, kill: bool = False) -> int:
        """Stops it, by SIGKILL or by SIGTERM, and answers its exit code."""
        self.http.close()
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def arm(self, fault: str | int, count: int = 1, entity: str | None = None) -> None:
        body = {"fault": fault, "count": count, "entity": entity}
        self.http.post("/emulator/faults", json=body).raise_for_status()

    def disarm(self) -> None:
        self.http.delete("/emulator/faults").raise_for_status()

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        return self.http.get("/emulator/requests", params={"after": after}).raise_for_status().json()

    def last_request(self) -> int:
        lines = self.http.get("/emulator/requests", params={"limit": 100_000}).json()
        return lines[-1]["n"] if lines else 0


@contextmanager
def emulator(data_file: Path) -> Iterator[Emulator]:
    running = Emulator(data_file)
    try:
        yield running
    finally:
        if running.process.returncode is None:
            running.end()


class School:
    """A company with the accounts, items and customers that its documents need, spoken to by raw JSON."""

    def __init__(self, server: Emulator, realm: str, country: str = "KE") -> None:
        self.server, self.realm = server, realm
        body = {"realm": realm, "country": country, "name": f"School {realm}"}
        server.http.post("/emulator/companies", json=body).raise_for_status()
        self.cash = self.account("Till cash", "Bank", "1000")
        self.income = self.account("Fees", "Income", "4000")
        self.wallets = self.account("Student wallets", "Other Current Liability", "2000")
        self.fees_item = self.made("Item", Name="Fees", Type="Service", IncomeAccountRef=ref(self.income))
        self.wallet_item = self.made(
            "Item", Name="Wallet", Type="Service", IncomeAccountRef=ref(self.wallets)
        )
        self.amina = self.made("Customer", DisplayName="Amina")
        self.brian = self.made("Customer", DisplayName="Brian")

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.server.http.request(method, f"/v3/company/{self.realm}/{path}", **options)

    def post(self, kind: str, body: dict[str, Any], **params: str) -> httpx.Response:
        return self.call("POST", kind.lower(), json=body, params={"minorversion": "75", **params})

    def made(self, kind: str, /, **body: Any) -> dict[str, Any]:
        answer = self.post(kind, body)
        assert answer.status_code == 200, answer.text
        return answer.json()[kind]

    def account(self, name: str, kind: str, number: str) -> dict[str, Any]:
        return self.made("Account", Name=name, AccountType=kind, AcctNum=number)

    def read(self, kind: str, identifier: str) -> dict[str, Any]:
        return self.call("GET", f"{kind.lower()}/{identifier}").raise_for_status().json()[kind]

    def query(self, text: str) -> dict[str, Any]:
        answer = self.call("GET", "query", params={"query": text})
        assert answer.status_code == 200, answer.text
        return answer.json()["QueryResponse"]

    def count(self, kind: str) -> int:
        return self.query(f"select count(*) from {kind}")["totalCount"]

    def batch(self, items: list[dict[str, Any]], **params: str) -> list[dict[str, Any]]:
        answer = self.call("POST", "batch", json={"BatchItemRequest": items}, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["BatchItemResponse"]

    def switch(self, **switches: Any) -> None:
        path = f"/emulator/companies/{self.realm}/preferences"
        self.server.http.patch(path, json=switches).raise_for_status()

    def balances(self) -> dict[str, str]:
        lines = self.server.http.get(f"/emulator/companies/{self.realm}/balances").json()
        return {line["Name"]: line["balance"] for line in lines if line["balance"] != "0.00"}

    # Bodies of documents

    def invoice(self, amount: str, **more: Any) -> dict[str, Any]:
        return {"CustomerRef": ref(self.amina), "Line": [sales_line(self.fees_item, amount)], **more}

    def sale(self, amount: str, **more: Any) -> dict[str, Any]:
        return {"DepositToAccountRef": ref(self.cash), "Line": [sales_line(self.fees_item, amount)], **more}

    def credit(self, amount: str, **more: Any) -> dict[str, Any]:
        return {"CustomerRef": ref(self.amina), "Line": [sales_line(self.wallet_item, amount)], **more}

    def payment(self, total: str, *links: tuple[str, dict[str, Any], str], **more: Any) -> dict[str, Any]:
        lines = [
            {"Amount": amount, "LinkedTxn": [{"TxnId": target["Id"], "TxnType": kind}]}
            for kind, target, amount in links
        ]
        deposit = {"DepositToAccountRef": ref(self.cash)}
        return {"CustomerRef": ref(self.amina), "TotalAmt": total, "Line": lines, **deposit, **more}

    def journal(self, *lines: tuple[str, dict[str, Any], str], **more: Any) -> dict[str, Any]:
        posted = [
            {
                "Amount": amount,
                "DetailType": "JournalEntryLineDetail",
                "JournalEntryLineDetail": {"PostingType": side, "AccountRef": ref(account)},
            }
            for side, account, amount in lines
        ]
        return {"Line": posted, **more}


def ref(entity: dict[str, Any]) -> dict[str, str]:
    return {"value": entity["Id"]}


def sales_line(item: dict[str, Any], amount: str, **detail: Any) -> dict[str, Any]:
    return {
        "Amount": amount,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": ref(item), **detail},
    }


def code(answer: httpx.Response) -> str:
    """The code of a refusal."""
    assert answer.status_code != 200, answer.text
    return answer.json()["Fault"]["Error"][0]["code"]


def sign_in(server: Emulator, realm: str) -> AuthClient:
    """intuit-oauth through the whole code flow, as an app would go through it."""
    client = AuthClient(
        "id", "secret", "http://127.0.0.1/callback", f"{server.url}/.well-known/openid_configuration"
    )
    address = client.get_authorization_url([Scopes.ACCOUNTING]) + f"&realmId={realm}"
    back = parse_qs(urlsplit(httpx.get(address).headers["location"]).query)
    client.get_bearer_token(back["code"][0], realm_id=back["realmId"][0])
    return client


@contextmanager
def library(server: Emulator, realm: str) -> Iterator[QuickBooks]:
    """python-quickbooks as it is: only its address differs."""
    addressed = type("Addressed", (QuickBooks,), {"api_url_v3": f"{server.url}/v3"})
    with sign_in(server, realm) as auth_client:
        client = addressed(auth_client=auth_client, company_id=realm, minorversion=75, use_decimal=True)
        with client.session:
            yield client
