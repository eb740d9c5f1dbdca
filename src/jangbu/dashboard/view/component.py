"""The web component as one file: its code, with the texts that it asks for in all languages, and its styles."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

from jangbu.dashboard.assets import FOLDER
from jangbu.dashboard.texts import LANGUAGES, texts_of

__all__ = ["SOURCE", "STYLE", "component"]

SOURCE = Path(__file__).with_name("token-meter.js")
STYLE = "view.css"

_ASKED = re.compile(r'\bt\("([a-z_.]+)"')
_GROUPS = re.compile(r'\bt\.known\("([a-z_]+)"')


@cache
def component() -> tuple[bytes, str]:
    """Give the file, and the tag that tells this one from another release's."""
    code = SOURCE.read_text(encoding="utf-8")
    asked, groups = set(_ASKED.findall(code)), tuple(f"{group}." for group in _GROUPS.findall(code))
    texts = {
        language: {
            key: text
            for key, text in texts_of(language).catalogue.items()
            if key in asked or (key.startswith(groups) and isinstance(text, str))
        }
        for language in LANGUAGES
    }
    style = (FOLDER / STYLE).read_text(encoding="utf-8")
    for place, value in (("const TEXTS = {};", texts), ('const STYLE = "";', style)):
        assert code.count(place) == 1, "each place is there once"
        written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        code = code.replace(place, f"{place.partition('=')[0]}= {written};")
    content = code.encode()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
