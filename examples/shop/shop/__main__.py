"""`python -m shop fill` and `python -m shop change`, on the database that DATABASE_URL names."""

import argparse
import json
import os
from collections.abc import Iterator

from sqlalchemy import Engine, create_engine

from shop.changing import changes
from shop.filling import Amounts, fill


def main() -> None:
    """Do what the command line says; one line on stdout for each transaction."""
    usual = Amounts()
    parser = argparse.ArgumentParser(prog="python -m shop", description="A shop, to see a graph follow its tables.")
    commands = parser.add_subparsers(dest="command", required=True)
    filling = commands.add_parser("fill", help="fill the empty tables")
    filling.add_argument("--customers", type=int, default=usual.customers)
    filling.add_argument("--orders", type=int, default=usual.orders)
    changing = commands.add_parser("change", help="make single changes, each in a transaction of its own")
    changing.add_argument("--count", type=int, default=20)
    for command in (filling, changing):
        command.add_argument("--seed", type=int, default=usual.seed, help="the same seed makes the same rows")
    asked = parser.parse_args()

    engine = create_engine(os.environ["DATABASE_URL"])
    if asked.command == "fill":
        done = _fill(engine, Amounts(asked.customers, asked.orders, asked.seed))
    else:
        done = changes(engine, asked.count, asked.seed)
    for line in done:
        print(json.dumps(line), flush=True)


def _fill(engine: Engine, amounts: Amounts) -> Iterator[dict[str, object]]:
    return ({"rows": rows} for rows in fill(engine, amounts))


if __name__ == "__main__":
    main()
