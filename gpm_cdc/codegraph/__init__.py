"""Source code as rows: models, a loader that stores differences, names resolved set-wise."""

from gpm_cdc.codegraph.loader import Loader, Report, Step
from gpm_cdc.codegraph.migration import migrate
from gpm_cdc.codegraph.model import Base

__all__ = ["Base", "Loader", "Report", "Step", "migrate"]
