import sys
sys.path.insert(0, "/work/main/tests/adapters/quickbooks")
from support_emulator import emulator
from support_exporter import Export, play
import time, logging
logging.basicConfig(level="INFO")
def test_quick(database, tmp_path):
    with emulator(tmp_path/"b.db") as server:
        e = Export(database.url("bursar_exporter"), server, timeout_seconds=10)
        play(e.school, 20)
        t=time.time(); print(e.export(), e.states(), e.errors(), time.time()-t)
        e.check_books()
        n=server.last_request()
        print(e.export(), e.rows("select * from finance_export_batches"))
        print([r for r in server.requests(n)])
