from support_emulator import emulator
from support_exporter import Export
import time, psycopg
from adapters.quickbooks import statements as S
from application.quickbooks_documents import bind
def test_quick(database, tmp_path):
    with emulator(tmp_path/"b.db") as server:
        e = Export(database.url("bursar_exporter"), server, timeout_seconds=10)
        s=e.school
        for n in range(1000):
            s.run("wallet.open", account=f"C{n}"); s.run("wallet.top_up", account=f"C{n}", amount=10**7, source={"type":"cash"})
        for n in range(19000):
            s.run("pos.checkout", wallet=f"C{n%1000}", lines=[{"sku":"X","quantity":1,"total":100+n,"tax_code":"A"}], tenders=[{"type":"wallet" if n%2 else "cash"}])
        t=time.time(); b=e.request(); print("register", time.time()-t)
        import cProfile
        t=time.time(); p=cProfile.Profile(); p.enable(); e.send(); p.disable(); print("send", time.time()-t, e.states(), e.status(b))
        import pstats; pstats.Stats(p).sort_stats("cumtime").print_stats(25)
        t=time.time(); e.check_books(); print("check", time.time()-t)
