"""A small shop: customers who bring in other customers, products, orders. An ordinary SQLAlchemy application.

It knows nothing of graphs: gpm-cdc follows it through Postgres's log.
"""
