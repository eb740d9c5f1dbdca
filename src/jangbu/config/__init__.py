"""Settings: from arguments, then ``JANGBU_*`` variables, then a TOML file, then defaults.

The TOML file is named by ``JANGBU_CONFIG``, else ``jangbu.toml`` in the working directory is read if it is there. A
path that is empty is refused: it would silently mean the working directory.
"""

from jangbu.config.reading import variable_of
from jangbu.config.settings import OWN_PAGES, Settings

__all__ = ["OWN_PAGES", "Settings", "variable_of"]
