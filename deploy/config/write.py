"""Writes the complete, commented config of every profile: `python deploy/config/write.py`, after a parameter changed.

tests/config/test_describe.py refuses files that do not load to the same config as the profile.
"""

from pathlib import Path

from reactor.config.describe import commented_yaml
from reactor.config.load import load, profile_text

WORDS = {
    "generated": "runs as it is: crypto-trade run --config deploy/config/generated.yaml",
    "replay": "runs with captures: crypto-trade run --config deploy/config/replay.yaml --replay PATH …",
    "paper": "needs the network, no keys: the real market, orders on the simulated exchange",
    "demo": "needs keys of the demo site",
    "testnet": "needs keys of the testnet",
    "live": "real money: needs --live and keys",
}


def main() -> None:
    """One file per profile."""
    for name, words in WORDS.items():
        options = {"exchanges.binance.simulated.replay_paths": ["captures"]} if name == "replay" else {}
        head = "".join(line + "\n" for line in profile_text(name).splitlines() if line.startswith("#"))
        text = f"# The whole config of the profile {name}; {words}\n#\n{head}{commented_yaml(load(name, options=options))}"
        (Path(__file__).parent / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    main()
