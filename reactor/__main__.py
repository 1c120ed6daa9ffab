"""`python -m reactor` is `crypto-trade`."""

from reactor.cli import main

main()
