"""An ordinary day of the shop: one small transaction after the other."""

import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice

from sqlalchemy import ColumnElement, Engine, func, inspect, select
from sqlalchemy.orm import Session

from shop.model import Base, Customer, Order, OrderLine, Product
from shop.words import CITIES

type Change = dict[str, object]
"""What a transaction did: its `kind`, and the keys and values that tell it from before."""

_NO_CHOICE = 2
"""The first customer was brought in by nobody, the second by the first or by nobody."""

type _Action = Callable[[Session, random.Random], Change]


def changes(engine: Engine, count: int, seed: int) -> Iterator[Change]:
    """Make `count` changes, each in a transaction of its own, and yield each after its commit."""
    chance = random.Random(seed)
    for action in islice(cycle(_ACTIONS), count):
        with Session(engine) as session:
            change = action(session, chance)
            session.commit()
            yield change


def _move(session: Session, chance: random.Random) -> Change:
    customer = _any(session, Customer, chance)
    customer.city = chance.choice([city for city in CITIES if city != customer.city])
    return {"kind": "moved", "customer": customer.id, "city": customer.city}


def _place(session: Session, chance: random.Random) -> Change:
    customer = _any(session, Customer, chance)
    products = {_any(session, Product, chance) for _ in range(3)}
    order = Order(customer=customer, lines=[_line(product, chance) for product in products])
    session.add(order)
    session.flush()
    return {"kind": "ordered", "order": order.id, "customer": customer.id, "lines": len(products)}


def _line(product: Product, chance: random.Random) -> OrderLine:
    return OrderLine(product=product, quantity=chance.randint(1, 3), unit_price=product.price)


def _correct(session: Session, chance: random.Random) -> Change:
    line = _any(session, OrderLine, chance)
    line.quantity += 10
    return {
        "kind": "corrected",
        "order": line.order_id,
        "product": line.product_id,
        "quantity": line.quantity,
    }


def _credit(session: Session, chance: random.Random) -> Change:
    """A customer says who really brought them in: somebody who came before, so that nobody brings in themselves."""
    customer = _any(session, Customer, chance, Customer.id > _NO_CHOICE)
    others = Customer.id.is_distinct_from(customer.referred_by_id)
    customer.referred_by = _any(session, Customer, chance, Customer.id < customer.id, others)
    return {"kind": "credited", "customer": customer.id, "referrer": customer.referred_by.id}


def _cancel(session: Session, chance: random.Random) -> Change:
    order = _any(session, Order, chance)
    change: Change = {"kind": "cancelled", "order": order.id}
    session.delete(order)
    return change


_ACTIONS: tuple[_Action, ...] = (_move, _place, _correct, _credit, _cancel)


def _any[Model: Base](
    session: Session, model: type[Model], chance: random.Random, *conditions: ColumnElement[bool]
) -> Model:
    """One of the rows that meet `conditions`."""
    count = session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0
    rows = select(model).where(*conditions).order_by(*inspect(model).primary_key)
    return session.scalars(rows.offset(chance.randrange(count)).limit(1)).one()
