"""`python -m ops.cli`: the command line, as `bursar` runs it."""

from ops.cli.main import main

main()
