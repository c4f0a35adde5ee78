"""What models say as a graph: annotations, inheritance, association tables, errors that name class and attribute."""

# ruff: noqa: RUF012 - models as people write them

import enum
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Integer, MetaData, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry

from gpm_cdc import orm
from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.models import AnnotationRefused, ModelsNotFound
from gpm_cdc.mapping.model import GraphMapping, NodeTable, RelationshipTable, Selector


def declared(base: type[DeclarativeBase]) -> GraphMapping:
    """The mapping of models that nothing is wrong with."""
    found = orm.mapping(base)
    assert not [finding for finding in found.findings if finding.blocks]
    return found.mapping


def node(mapping: GraphMapping, table: str) -> NodeTable:
    """The node table of that name."""
    found = mapping.node(TableName.parse(table))
    assert found is not None
    return found


def relationship(mapping: GraphMapping, table: str) -> RelationshipTable:
    """The relationship table of that name."""
    return next(each for each in mapping.relationships if each.table == TableName.parse(table))


def test_labels_are_class_names() -> None:
    """Class name, further labels, an annotated label; foreign keys with type and direction, on column or constraint."""

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "staff"
        __table_args__ = ({"info": orm.as_node(extra_labels=("Human",))},)
        id: Mapped[int] = mapped_column(primary_key=True)
        boss_id: Mapped[int | None] = mapped_column(
            ForeignKey("staff.id", info=orm.reference("MANAGES", direction="in"))
        )

    class Site(Base):
        __tablename__ = "sites"
        __table_args__ = {"schema": "other", "info": orm.as_node(label="Place", keep_foreign_keys=True)}
        country: Mapped[str] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True)

    class Desk(Base):
        __tablename__ = "desks"
        __table_args__ = (
            ForeignKeyConstraint(
                ["country", "site"], ["other.sites.country", "other.sites.number"], info=orm.reference("STANDS_IN")
            ),
        )
        id: Mapped[int] = mapped_column(primary_key=True)
        country: Mapped[str]
        site: Mapped[int]
        owner_id: Mapped[int] = mapped_column(ForeignKey(Person.id))

    mapping = declared(Base)
    person = node(mapping, "staff")
    assert (person.label, person.extra_labels) == ("Person", ("Human",))
    assert [(each.type, each.direction) for each in person.relationships] == [("MANAGES", "in")]
    assert node(mapping, "other.sites").label == "Place"
    assert sorted((each.type, each.columns) for each in node(mapping, "desks").relationships) == [
        ("OWNER", ("owner_id",)),
        ("STANDS_IN", ("country", "site")),
    ]


def test_properties() -> None:
    """Names, types and what is left out; other people's info stays theirs."""

    class Base(DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)
        born: Mapped[str] = mapped_column("birth", info={**orm.as_property("bornIn"), "theirs": 1})
        price: Mapped[Any] = mapped_column(String, info=orm.hidden())
        amount: Mapped[int] = mapped_column(info=orm.as_property(type="float"))

    properties = node(declared(Base), "things").properties
    assert properties.rename == {"birth": "bornIn"}
    assert properties.exclude == ("price",)
    assert properties.types == {"amount": "float"}


def test_association_tables() -> None:
    """A table of two foreign keys is a relationship; a class of it may be annotated, turned round, or made a node."""

    class Base(DeclarativeBase):
        pass

    class Customer(Base):
        __tablename__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Product(Base):
        __tablename__ = "products"
        id: Mapped[int] = mapped_column(primary_key=True)

    Table(
        "wishes",
        Base.metadata,
        Column("customer_id", ForeignKey(Customer.id), primary_key=True),
        Column("product_id", ForeignKey(Product.id), primary_key=True),
    )

    class Review(Base):
        __tablename__ = "reviews"
        __table_args__ = {"info": orm.as_relationship("REVIEWED", start="customer", end="product")}
        id: Mapped[int] = mapped_column(primary_key=True)
        product: Mapped[int] = mapped_column(ForeignKey(Product.id))
        customer: Mapped[int] = mapped_column(ForeignKey(Customer.id))
        stars: Mapped[int]

    class Link(Base):
        __tablename__ = "links"
        __table_args__ = {
            "info": orm.as_relationship(type_from=("kind", {"a": "ACCESSORY_OF", "s": "SIMILAR_TO"})),
        }
        one: Mapped[int] = mapped_column(ForeignKey(Product.id), primary_key=True)
        other: Mapped[int] = mapped_column(ForeignKey(Product.id), primary_key=True)
        kind: Mapped[str]

    class Seat(Base):
        __tablename__ = "seats"
        __table_args__ = {"info": orm.as_node()}
        one: Mapped[int] = mapped_column(ForeignKey(Product.id), primary_key=True)
        other: Mapped[int] = mapped_column(ForeignKey(Customer.id), primary_key=True)

    mapping = declared(Base)
    assert relationship(mapping, "wishes").type == "WISH"
    review = relationship(mapping, "reviews")
    assert (review.type, review.start.columns, review.end.columns) == ("REVIEWED", ("customer",), ("product",))
    assert review.key == ("id",)
    link = relationship(mapping, "links")
    assert link.type is None
    assert link.type_from == Selector("kind", {"a": "ACCESSORY_OF", "s": "SIMILAR_TO"})
    assert node(mapping, "seats").label == "Seat"


def test_single_table_inheritance() -> None:
    """Every class below the root is a label that its discriminator chooses; the root is the key's label."""

    class Base(DeclarativeBase):
        pass

    class Animal(Base):
        __tablename__ = "animals"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Dog(Animal):
        __mapper_args__ = {"polymorphic_identity": "dog"}

    class Puppy(Dog):
        __mapper_args__ = {"polymorphic_identity": "puppy"}

    animal = node(declared(Base), "animals")
    assert animal.label == "Animal"
    assert animal.labels_from == Selector("kind", {"dog": "Dog", "puppy": "Puppy"})


def test_single_table_inheritance_by_an_enum() -> None:
    """The values are those that Postgres holds: the names of the members."""

    class Base(DeclarativeBase):
        pass

    class Kind(enum.Enum):
        plain = "P"
        fancy = "F"

    class Cake(Base):
        __tablename__ = "cakes"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": Kind.plain}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[Kind]

    class Torte(Cake):
        __mapper_args__ = {"polymorphic_identity": Kind.fancy}

    assert node(declared(Base), "cakes").labels_from == Selector("kind", {"fancy": "Torte"})


def test_single_table_inheritance_by_another_type() -> None:
    """What the stream cannot follow is a finding that names class and attribute."""

    class Base(DeclarativeBase):
        pass

    class Flag(Base):
        __tablename__ = "flags"
        __mapper_args__ = {"polymorphic_on": "up", "polymorphic_identity": False}
        id: Mapped[int] = mapped_column(primary_key=True)
        up: Mapped[bool]

    class Raised(Flag):
        __mapper_args__ = {"polymorphic_identity": True}

    blocking = [finding for finding in orm.mapping(Base).findings if finding.blocks]
    assert ["Flag.up: " in finding.message for finding in blocking] == [True]


def test_a_column_without_a_type() -> None:
    """The column is named."""
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer, primary_key=True), Column("odd"))
    with pytest.raises(AnnotationRefused, match=r"public\.things\.odd"):
        orm.mapping(metadata)


def test_joined_table_inheritance() -> None:
    """The row of each class is a node of its own; from the subclass's IS_A leads to the parent's, unless named."""

    class Base(DeclarativeBase):
        pass

    class Vehicle(Base):
        __tablename__ = "vehicles"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Car(Vehicle):
        __tablename__ = "cars"
        __mapper_args__ = {"polymorphic_identity": "car"}
        id: Mapped[int] = mapped_column(ForeignKey(Vehicle.id), primary_key=True)
        doors: Mapped[int]

    class Boat(Vehicle):
        __tablename__ = "boats"
        __mapper_args__ = {"polymorphic_identity": "boat"}
        id: Mapped[int] = mapped_column(ForeignKey(Vehicle.id, info=orm.reference("KIND_OF")), primary_key=True)

    mapping = declared(Base)
    assert node(mapping, "vehicles").labels_from is None
    assert node(mapping, "cars").label == "Car"
    assert [each.type for each in node(mapping, "cars").relationships] == ["IS_A"]
    assert [each.type for each in node(mapping, "boats").relationships] == ["KIND_OF"]


def test_abstract_and_concrete_classes() -> None:
    """A mixin gives columns and no node; concrete inheritance gives unrelated nodes."""

    class Base(DeclarativeBase):
        pass

    class Named:
        name: Mapped[str] = mapped_column(info=orm.as_property("called"))

    class One(Named, Base):
        __tablename__ = "ones"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Two(One):
        __tablename__ = "twos"
        __mapper_args__ = {"concrete": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column()

    mapping = declared(Base)
    assert [(each.label, each.relationships) for each in mapping.nodes] == [("One", ()), ("Two", ())]
    assert node(mapping, "ones").properties.rename == {"name": "called"}


def test_ignored() -> None:
    """A table that is on purpose not in the graph, by its model or by the file's list."""

    class Base(DeclarativeBase):
        pass

    class Log(Base):
        __tablename__ = "logs"
        __table_args__ = {"info": orm.ignored()}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Kept(Base):
        __tablename__ = "kept"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Left(Base):
        __tablename__ = "left"
        id: Mapped[int] = mapped_column(primary_key=True)

    found = orm.mapping(Base, [TableName.parse("left")]).mapping
    assert [each.label for each in found.nodes] == ["Kept"]
    assert found.ignore == (TableName.parse("left"), TableName.parse("logs"))


def test_loose_reference() -> None:
    """A reference may be declared loose."""

    class Base(DeclarativeBase):
        pass

    class Visit(Base):
        __tablename__ = "visits"
        id: Mapped[int] = mapped_column(primary_key=True)
        next_id: Mapped[int | None] = mapped_column(ForeignKey("visits.id", info=orm.reference(enforced=False)))

    assert [each.enforced for each in node(declared(Base), "visits").relationships] == [False]


def test_tables_without_classes() -> None:
    """A MetaData or a registry serves as well; labels follow the tables' names then."""
    metadata = MetaData()
    Table("order_details", metadata, Column("id", Integer, primary_key=True))
    assert [each.label for each in orm.mapping(metadata).mapping.nodes] == ["OrderDetail"]
    assert [each.label for each in orm.mapping(registry(metadata=metadata)).mapping.nodes] == ["OrderDetail"]


def refused(base: type[DeclarativeBase]) -> str:
    """How the models are refused."""
    with pytest.raises(AnnotationRefused) as error:
        orm.mapping(base)
    assert error.value.advice
    return str(error.value)


def test_an_annotation_in_the_wrong_place() -> None:
    """What belongs to a table says nothing on a column, and the other way round: class and attribute are named."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        label: Mapped[str] = mapped_column("l", info=orm.as_node("No"))

    assert "Wrong.label: " in refused(Base)


def test_an_annotation_of_a_reference_where_there_is_none() -> None:
    """The column has no foreign key to annotate."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        other: Mapped[int] = mapped_column(info=orm.reference("X"))

    assert "Wrong.other: " in refused(Base)


def test_ends_that_are_no_foreign_keys() -> None:
    """The message lists the foreign keys that there are."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        __table_args__ = {"info": orm.as_relationship(start="id", end="up")}
        id: Mapped[int] = mapped_column(primary_key=True)
        up: Mapped[int] = mapped_column(ForeignKey("wrong.id"))

    with pytest.raises(AnnotationRefused) as error:
        orm.mapping(Base)
    assert "Wrong" in str(error.value)
    assert "start names id" in str(error.value)
    assert "up" in error.value.advice


def test_a_relationship_without_ends() -> None:
    """Three foreign keys: nobody can know which two."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        __table_args__ = {"info": orm.as_relationship()}
        id: Mapped[int] = mapped_column(primary_key=True)
        a: Mapped[int] = mapped_column(ForeignKey("wrong.id"))
        b: Mapped[int] = mapped_column(ForeignKey("wrong.id"))
        c: Mapped[int] = mapped_column(ForeignKey("wrong.id"))

    assert "3 foreign keys" in refused(Base)


def test_an_unknown_discriminator() -> None:
    """labels_from and type_from name a column of the table."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        __table_args__ = {"info": orm.as_node(labels_from=("kin", {"a": "A"}))}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    assert "no column kin" in refused(Base)


def test_type_and_type_from() -> None:
    """One of the two."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        __table_args__ = {"info": orm.as_relationship("X", type_from=("kind", {"a": "A"}))}
        one: Mapped[int] = mapped_column(ForeignKey("ends.id"), primary_key=True)
        two: Mapped[int] = mapped_column(ForeignKey("ends.id"), primary_key=True)
        kind: Mapped[str]

    class End(Base):
        __tablename__ = "ends"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert "both type and type_from" in refused(Base)


def test_a_direction_that_is_none() -> None:
    """Out or in."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        up: Mapped[int] = mapped_column(ForeignKey("wrong.id", info=orm.reference(direction="up")))  # type: ignore[arg-type]

    assert "Wrong.up: " in refused(Base)


def test_a_type_choice_that_is_none() -> None:
    """What the type cannot become is a finding that names class and attribute."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        words: Mapped[str] = mapped_column(info=orm.as_property(type="float"))

    blocking = [finding for finding in orm.mapping(Base).findings if finding.blocks]
    assert ["Wrong.words: " in finding.message for finding in blocking] == [True]


def test_ambiguous_references() -> None:
    """Two foreign keys that would share type and ends block, and the class is named."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        __table_args__ = (CheckConstraint("true"),)
        id: Mapped[int] = mapped_column(primary_key=True)
        up_id: Mapped[int] = mapped_column(ForeignKey("wrong.id"))
        upId: Mapped[int] = mapped_column(ForeignKey("wrong.id"))  # noqa: N815

    blocking = [finding for finding in orm.mapping(Base).findings if finding.blocks]
    assert blocking
    assert all("Wrong" in finding.message for finding in blocking)


def test_a_reference_to_a_model_that_was_not_imported() -> None:
    """The advice is to import it."""

    class Base(DeclarativeBase):
        pass

    class Wrong(Base):
        __tablename__ = "wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        far: Mapped[int] = mapped_column(ForeignKey("elsewhere.id"))

    with pytest.raises(AnnotationRefused) as error:
        orm.mapping(Base)
    assert "wrong.far" in str(error.value)
    assert "import" in error.value.advice


@pytest.mark.parametrize("name", ["nothing", "gpm_cdc.nowhere:Base", "gpm_cdc.orm:Nothing", "gpm_cdc.orm:KEY.x", ":a"])
def test_models_that_are_not_there(name: str) -> None:
    """--models is package.module:Base."""
    with pytest.raises(ModelsNotFound):
        orm.load(name)


def test_models_of_another_kind() -> None:
    """What is named is no base of models."""
    with pytest.raises(ModelsNotFound, match="function"):
        orm.load("gpm_cdc.orm:load")
