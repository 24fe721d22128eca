"""The registry of engines; other packages add theirs through the entry-point group."""

from nearsight.engines.protocol import Engine
from nearsight.registry import Registry

#: engine classes by name; an engine is constructed with its settings or with nothing
ENGINES: Registry[type[Engine]] = Registry("engine", "nearsight.engines")
