"""`python -m gpm_cdc` is `gpm-cdc`."""

from gpm_cdc.cli.main import main

main()
