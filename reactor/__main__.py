"""`python -m reactor` and the console command `crypto-trade`."""

import signal


def main() -> None:
    """Opens the front door. Until its imports are done, Ctrl-C ends the process without a word: nothing has begun."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from reactor.cli import main as door

    door()


if __name__ == "__main__":
    main()
