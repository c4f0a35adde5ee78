"""The tables of the shop."""

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from sqlalchemy import CheckConstraint, DateTime, Enum, ForeignKey, Identity, MetaData, Numeric, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

type Number = Annotated[int, mapped_column(Identity(), primary_key=True)]
type Money = Annotated[Decimal, mapped_column(Numeric(10, 2))]


class Base(DeclarativeBase):
    """The parent of the shop's models."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Status(enum.StrEnum):
    """How far an order is."""

    OPEN = "open"
    SHIPPED = "shipped"
    RETURNED = "returned"


class Category(Base):
    """A shelf of the shop."""

    __tablename__ = "categories"

    id: Mapped[Number]
    name: Mapped[str] = mapped_column(unique=True)

    products: Mapped[list["Product"]] = relationship(back_populates="category")


class Product(Base):
    """Something to buy, at its present price."""

    __tablename__ = "products"
    __table_args__ = (CheckConstraint("price > 0", name="price"),)

    id: Mapped[Number]
    name: Mapped[str] = mapped_column(unique=True)
    price: Mapped[Money]
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"), index=True)

    category: Mapped[Category] = relationship(back_populates="products")


class Customer(Base):
    """Somebody who buys, and perhaps the customer who brought them in."""

    __tablename__ = "customers"

    id: Mapped[Number]
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    city: Mapped[str]
    joined: Mapped[date]
    referred_by_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"), index=True)

    referred_by: Mapped["Customer | None"] = relationship(back_populates="referrals", remote_side="Customer.id")
    referrals: Mapped[list["Customer"]] = relationship(back_populates="referred_by")
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    """What a customer bought at one time."""

    __tablename__ = "orders"

    id: Mapped[Number]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    status: Mapped[Status] = mapped_column(
        Enum(Status, name="order_status", values_callable=lambda states: [state.value for state in states]),
        default=Status.OPEN,
    )
    placed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list["OrderLine"]] = relationship(back_populates="order", cascade="all, delete-orphan")


class OrderLine(Base):
    """How much of a product is in an order, at the price of that day."""

    __tablename__ = "order_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True, index=True)
    quantity: Mapped[int]
    unit_price: Mapped[Money]

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()
