"""`bursar` as somebody runs it in a shell."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


class Shell:
    """Runs `bursar` in an empty folder, with an environment of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
        self.folder = folder
        self.environment = {**inherited, "PYTHONPATH": str(REPOSITORY), **environment}

    def run(self, *arguments: str, code: int = 0, **environment: str) -> tuple[str, str]:
        """Standard output and standard error; fails where it exits otherwise than with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "ops.cli", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def facts(self, *arguments: str, code: int = 0) -> Any:
        """What `--json` prints: one line, and nothing else on standard output."""
        out, _ = self.run(*arguments, "--json", code=code)
        [line] = out.splitlines()
        return json.loads(line)


def on_a_terminal(
    shell: Shell, *arguments: str, answer: bytes = b"", program: tuple[str, ...] = ("-m", "ops.cli")
) -> tuple[int, str]:
    """Run with a terminal for everything; the exit code, and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.folder)
        os.execve(sys.executable, [sys.executable, *program, *arguments], shell.environment)
    os.write(terminal, answer)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # its last process has closed it
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()
