"""The guided tour: an application writes to Postgres, and Neo4j follows. Everything in it is real, and temporary."""
