"""Finding models by name: `package.module:Base`."""

import importlib
import sys
from collections.abc import Collection
from pathlib import Path

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.models import ModelsNotFound
from gpm_cdc.orm.mapping import ModelMapping, mapping
from gpm_cdc.wording import say


def load(name: str, ignore: Collection[TableName] = ()) -> ModelMapping:
    """The mapping of the models that `name` leads to; their module is imported, from the current directory too.

    Raises ModelsNotFound where that fails, and what `mapping` raises.
    """
    module_name, colon, path = name.partition(":")
    if not (colon and module_name and path):
        raise ModelsNotFound(name=name, detail=say("it has no colon between the module and the base"))
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except ImportError as error:
        raise ModelsNotFound(name=name, detail=str(error)) from error
    except AttributeError as error:
        detail = say("module {module} has no {path}", module=module_name, path=path)
        raise ModelsNotFound(name=name, detail=detail) from error
    return mapping(found, ignore)  # type: ignore[arg-type]  # it says itself what it takes
