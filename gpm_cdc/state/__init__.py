"""What gpm-cdc remembers about its own work, in schema `gpm_cdc` of a Postgres database.

Nothing here is needed for the stream to be right: its position is in the graph. SQLAlchemy and Alembic wait for the
server in the calling thread; whoever has an event loop calls with `asyncio.to_thread`.
"""
