"""Two questions that are short in Cypher and long in SQL."""

from typing import Final

REFERRALS: Final = """\
MATCH (friend:Customer)-[:PLACED]->(:Order)-[line:CONTAINS]->(:Product)
WITH friend, sum(line.quantity * line.unit_price) AS spent
MATCH path = (friend)-[:REFERRED_BY]->+(patron:Customer)
RETURN patron.name, count(friend), max(length(path)), round(sum(spent), 2) AS revenue
ORDER BY revenue DESC LIMIT 5"""
"""Rows: name, buying customers below, depth, money. Referrals are a forest, so each friend has one path to a patron."""

REFERRAL_COLUMNS: Final = ("customer", "brought in", "levels deep", "their revenue")

STRANGERS: Final = """\
MATCH (c:Customer)-[:PLACED]->(o:Order)
WITH c, count(o) AS orders, sum(count { (o)-[:CONTAINS]->() }) AS lines
WHERE orders = 1 AND lines = 1
RETURN c.id, c.name ORDER BY c.id DESC LIMIT 2"""
"""Two customers who hardly buy: the way between them is not the obvious one."""

CONNECTION: Final = """\
MATCH path = SHORTEST 1
  (:Customer {id: $one})-[:REFERRED_BY|PLACED|CONTAINS]-+(:Customer {id: $other})
RETURN path"""

CONNECTION_AS_TEXT: Final = CONNECTION.replace(
    "RETURN path",
    "RETURN [stop IN nodes(path) | coalesce(stop.name, 'order ' + stop.id)],"
    " [link IN relationships(path) | type(link)],"
    " [place IN range(0, length(path) - 1) | startNode(relationships(path)[place]) = nodes(path)[place]]",
)
"""One row: the names on the way, the types between them, and whether each type points forward."""
