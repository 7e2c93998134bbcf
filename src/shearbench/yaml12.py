"""YAML as DVC reads and writes it, version 1.2: ``5e-05`` is a number, ``off`` a word, ``010`` ten.

PyYAML reads version 1.1, in which ``5e-05`` and ``1e-3`` are text. DVC writes such numbers into ``params.yaml``.
Source: YAML 1.2.2, section 10.3.2, core schema.
"""

import re
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""


Loader.yaml_implicit_resolvers = {}  # its own, and none of PyYAML's
_SCALARS = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "tag:yaml.org,2002:merge": (r"<<", ["<"]),  # of version 1.1, as DVC also takes it
}
for tag, (pattern, first) in _SCALARS.items():
    Loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})$"), first)


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse(text: str) -> Any:
    """Return the value of a document; yaml.YAMLError or ValueError if it is none."""
    return yaml.load(text, Loader=Loader)
