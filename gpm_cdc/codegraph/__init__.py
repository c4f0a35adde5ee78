"""Source code as rows: models, a loader that stores differences, names resolved set-wise."""

from gpm_cdc.codegraph.loader import Loader, Report, Size, Step
from gpm_cdc.codegraph.migration import migrate
from gpm_cdc.codegraph.model import Base

__all__ = ["Base", "Loader", "Report", "Size", "Step", "migrate"]
