"""pyproject.toml → what a project declares of its models and of its checks, and where in the file it does."""

from __future__ import annotations

from paramscope.config.ignores import DeclaredIgnore as DeclaredIgnore
from paramscope.config.models import MODEL_EXAMPLE as MODEL_EXAMPLE
from paramscope.config.models import DeclaredModel as DeclaredModel
from paramscope.config.places import Place as Place
from paramscope.config.places import Source as Source
from paramscope.config.project import FAIL_ON as FAIL_ON
from paramscope.config.project import Config as Config
from paramscope.config.project import read_config as read_config
from paramscope.config.project import to_config as to_config
from paramscope.config.values import ConfigError as ConfigError
