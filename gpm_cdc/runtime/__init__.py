"""The composition root: settings and mapping become a wired pipeline. The only place that builds adapters."""
