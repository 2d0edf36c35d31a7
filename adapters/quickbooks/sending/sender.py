"""The sender: takes what open batches ask for from the registry to QuickBooks, each document exactly once.

Whatever dies, and whenever: a call is stored before it is sent, so the next sender finds it open, and sends
these very bytes again or looks for what became of them. One sender per company, by an advisory lock on the
connection that also records the outcomes: who has lost the lock can record nothing.

Three levels: this loop, a tenant's turn (`turn`), the sending of its documents (`preparation`, `documents`).
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import Connection

from adapters.postgres.failure import LOST
from adapters.quickbooks.registry import batches, tenants
from adapters.quickbooks.registry.rows import select
from adapters.quickbooks.sending.turn import Absences, take_turn
from adapters.quickbooks.settings import QuickBooksSettings
from adapters.system.retry import keep_at

_IDLE_SECONDS: Final = 1.0


def run_sender(
    exporter_url: str, settings: QuickBooksSettings, stop: threading.Event, ready: Callable[[], None]
) -> None:
    """Send what batches ask for until `stop` is set, through every loss of the database.

    `ready` is called once, when the database first answers.
    """
    absences = Absences(settings)

    def session(working: Callable[[], None]) -> None:
        with psycopg.connect(exporter_url, autocommit=True, application_name="bursar exporter") as connection:
            connection.execute(batches.LISTEN)
            working()
            while not stop.is_set():
                if not send_open_batches(connection, settings, stop, absences):
                    list(connection.notifies(timeout=_IDLE_SECONDS, stop_after=1))

    keep_at(
        session,
        name="quickbooks sender",
        stop=stop,
        ready=ready,
        lost=LOST,
        max_wait_seconds=settings.max_wait_seconds,
    )


def send_open_batches(
    connection: Connection[Any], settings: QuickBooksSettings, stop: threading.Event, absences: Absences
) -> bool:
    """Give every tenant with open batches a turn. Tells whether there was anything to do.

    What goes wrong with one tenant is that tenant's alone; only the loss of the database is raised.
    """
    worked = False
    for work in select(connection, tenants.Work, tenants.SELECT_WORK, token=settings.token_hash):
        if not stop.is_set() and not absences.resting(work.tenant):
            worked = take_turn(connection, settings, work, stop, absences) or worked
    return worked
