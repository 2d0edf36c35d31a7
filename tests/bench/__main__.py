"""`make bench`: measures every row against its reference in the same run, prints a table, writes bench.json.

`--rows NAME…` measures some rows, `--grown` those on a log of five million events, which take some minutes to make;
`--seconds` and `--rounds` say how long and how often each side alternates, `--scale 0.001` tries a row on a small log.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from tests.bench import growing, projecting, reading, serving, writing
from tests.bench.site import site
from tests.bench.table import Bench, show

ROWS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "writer_vs_library": writing.writer_vs_library,
    "hot_vs_spread": writing.hot_vs_spread,
    "writer_beside_a_held_snapshot": writing.writer_beside_a_held_snapshot,
    "cold_wallets_on_a_grown_log_vs_hot": growing.cold_wallets_on_a_grown_log,
    "append_vs_unnest": writing.append_vs_unnest,
    "http_single_vs_empty_route": serving.http_single_vs_empty_route,
    "http_single_all_running_vs_alone": serving.http_single_all_running_vs_alone,
    "http_p99_ms": serving.http_p99_ms,
    "top_up_beside_anothers_bulks_p99_ms": serving.a_top_up_beside_anothers_bulks_p99_ms,
    "http_bulk_vs_writer": serving.http_bulk_vs_writer,
    "atomic_bulk_vs_bulk": serving.atomic_bulk_vs_bulk,
    "two_apis_vs_one": serving.two_apis_vs_one,
    "read_wallet_vs_empty_route": reading.read_vs_empty_route,
    "read_invoice_vs_empty_route": reading.read_vs_empty_route,
    "read_accounts_vs_empty_route": reading.read_vs_empty_route,
    "read_under_load": reading.read_under_load,
    "commands_beside_reads": reading.commands_beside_reads,
    "commands_beside_reads_p99_ms": reading.commands_beside_reads,
    "projector_vs_copy": projecting.read_side,
    "lag_p99_at_1000_per_second": projecting.lag_p99_at_1000_per_second,
    "rebuild_vs_copy_out": projecting.read_side,
    "decoding_vs_copy_out": projecting.read_side,
}
GROWN: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "writer_at_5m_events_vs_50k": growing.five_million,
    "restart_to_first_command_at_5m": growing.five_million,
    "statement_page_of_1m_entries_vs_10k": growing.five_million,
    "api_memory_100k_wallets_mb": growing.api_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", nargs="*", choices=[*ROWS, *GROWN])
    parser.add_argument("--grown", action="store_true")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    every = ROWS | GROWN
    rows = options.rows or (GROWN if options.grown else ROWS)
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with site(folder / "postgres") as made:
            bench = Bench(made, folder, seconds=options.seconds, rounds=options.rounds, scale=options.scale)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                for measure in dict.fromkeys(every[row] for row in rows):
                    runner.run(measure(bench))
    order = {name: i for i, name in enumerate(every)}
    bench.rows.sort(key=lambda row: order.get(row.name, len(order)))
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(bench.rows)) + b"\n")
    show(bench.rows)


if __name__ == "__main__":
    main()
