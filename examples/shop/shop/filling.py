"""A shop that fills up: customers bring in customers, and they order, in transactions of every size."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from shop.model import Category, Customer, Order, OrderLine, Product, Status
from shop.words import CITIES, FIRST_NAMES, GOODS, KINDS, LAST_NAMES

ROUNDS = 20
"""How often customers and orders take turns."""

_CUSTOMERS_PER_TRANSACTION = (1, 4, 50, 400)
_ORDERS_PER_TRANSACTION = (1, 5, 40, 250)
_LARGEST_ORDER = 4
_REFERRED = 0.95
_FIRST_DAY = date(2023, 1, 1)
_OPENING = datetime(2023, 1, 1, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much there is to be. The same amounts and seed give the same rows."""

    customers: int = 4_000
    orders: int = 9_000
    seed: int = 7


@dataclass(slots=True)
class _Shop:
    """What later rows refer to: numbers of customers, and numbers and prices of products."""

    chance: random.Random
    customers: list[int] = field(default_factory=list)
    products: list[tuple[int, Decimal]] = field(default_factory=list)
    emails: int = 0


def fill(engine: Engine, amounts: Amounts) -> Iterator[int]:
    """Fill empty tables. Yields the number of rows written so far, after each commit."""
    shop = _Shop(random.Random(amounts.seed))
    written = _stock(engine, shop)
    yield written
    for number in range(ROUNDS):
        for size in _sizes(shop.chance, _share(amounts.customers, number), _CUSTOMERS_PER_TRANSACTION):
            written += _welcome(engine, shop, size)
            yield written
        for size in _sizes(shop.chance, _share(amounts.orders, number), _ORDERS_PER_TRANSACTION):
            # Large ones as a batch job would write them, small ones as a web request would.
            written += (
                _import_orders(engine, shop, size)
                if size == max(_ORDERS_PER_TRANSACTION)
                else _order(engine, shop, size)
            )
            yield written


def _share(total: int, number: int) -> int:
    """The part of `total` that belongs to round `number`; the parts add up to it."""
    return total * (number + 1) // ROUNDS - total * number // ROUNDS


def _sizes(chance: random.Random, total: int, sizes: Sequence[int]) -> Iterator[int]:
    """Sizes of transactions that add up to `total`."""
    while total > 0:
        size = min(chance.choice(sizes), total)
        yield size
        total -= size


def _stock(engine: Engine, shop: _Shop) -> int:
    """The catalogue, in one transaction. The rows it wrote."""
    with Session(engine) as session, session.begin():
        categories = [Category(name=name) for name in GOODS]
        session.add_all(categories)
        session.flush()
        rows = [
            {
                "name": f"{kind} {thing}",
                "price": Decimal(shop.chance.randint(199, 9_999)) / 100,
                "category_id": category.id,
            }
            for category in categories
            for thing in GOODS[category.name]
            for kind in KINDS
        ]
        made = session.execute(insert(Product).returning(Product.id, Product.price), rows)
        shop.products = [(number, price) for number, price in made]
    return len(categories) + len(rows)


def _welcome(engine: Engine, shop: _Shop, size: int) -> int:
    """`size` new customers in one transaction, most of them brought in by others. The rows it wrote."""
    with Session(engine) as session, session.begin():
        newcomers: list[Customer] = []
        for _ in range(size):
            newcomer = _customer(shop)
            if newcomers and shop.chance.random() < 1 / len(newcomers):
                newcomer.referred_by = newcomers[-1]  # somebody who came with a friend
            newcomers.append(newcomer)
        session.add_all(newcomers)
        session.flush()
        shop.customers.extend(newcomer.id for newcomer in newcomers)
    return size


def _customer(shop: _Shop) -> Customer:
    chance = shop.chance
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    shop.emails += 1
    referrer = None
    if shop.customers and chance.random() < _REFERRED:
        # The smaller of two draws: those who came early have brought in more.
        referrer = min(chance.choice(shop.customers), chance.choice(shop.customers))
    return Customer(
        name=f"{first} {last}",
        email=f"{first}.{last}.{shop.emails}@example.com".lower(),
        city=chance.choice(CITIES),
        joined=_FIRST_DAY + timedelta(days=shop.emails // 4),
        referred_by_id=referrer,
    )


def _order(engine: Engine, shop: _Shop, size: int) -> int:
    """`size` orders with their lines in one transaction, as objects. The rows it wrote."""
    with Session(engine) as session, session.begin():
        orders = [
            Order(
                customer_id=shop.chance.choice(shop.customers),
                status=shop.chance.choice(tuple(Status)),
                placed_at=_moment(shop.chance),
                lines=[
                    OrderLine(product_id=product, quantity=quantity, unit_price=price)
                    for product, price, quantity in _basket(shop)
                ],
            )
            for _ in range(size)
        ]
        session.add_all(orders)
        return size + sum(len(order.lines) for order in orders)


def _import_orders(engine: Engine, shop: _Shop, size: int) -> int:
    """`size` orders with their lines in one transaction, in bulk. The rows it wrote."""
    with Session(engine) as session, session.begin():
        numbers = session.scalars(
            insert(Order).returning(Order.id, sort_by_parameter_order=True),
            [
                {
                    "customer_id": shop.chance.choice(shop.customers),
                    "status": Status.SHIPPED,
                    "placed_at": _moment(shop.chance),
                }
                for _ in range(size)
            ],
        )
        lines = [
            {"order_id": number, "product_id": product, "quantity": quantity, "unit_price": price}
            for number in numbers
            for product, price, quantity in _basket(shop)
        ]
        session.execute(insert(OrderLine), lines)
        return size + len(lines)


def _basket(shop: _Shop) -> list[tuple[int, Decimal, int]]:
    """Different products, each with its price and how many of it."""
    chosen = shop.chance.sample(shop.products, shop.chance.randint(1, _LARGEST_ORDER))
    return [(product, price, shop.chance.randint(1, 3)) for product, price in chosen]


def _moment(chance: random.Random) -> datetime:
    return _OPENING + timedelta(minutes=chance.randint(0, 1_400_000), microseconds=chance.randint(0, 999_999))
