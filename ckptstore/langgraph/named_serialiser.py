"""The serialiser that a command line names, or LangGraph's own."""

from __future__ import annotations

import importlib
import os
import sys
from typing import cast

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import InvalidConfig


def default_serialiser() -> SerializerProtocol:
    """The serialiser of a saver that is given none."""
    return JsonPlusSerializer()


def load_serialiser(name: str) -> SerializerProtocol:
    """The serialiser that `module:object` names; an object that can be called without arguments is called.

    Raises:
        InvalidConfig: there is no such module or object, the module can't be imported, or the object is no serialiser.
    """
    module, _, attribute = name.partition(":")
    # As `python -m` does: the module is usually the application's own.
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
        made = found() if callable(found) and not hasattr(found, "loads_typed") else found
    except Exception as exc:
        # The module is the application's own, which may raise anything: KeyError where the environment has no key, for example.
        reason = f"{type(exc).__name__}: {exc}"
        raise InvalidConfig(f"{name!r} can't be imported ({reason}); write module:object, for example my_app.keys:old") from exc
    finally:
        sys.path.remove(os.getcwd())
    if not hasattr(made, "loads_typed") or not hasattr(made, "dumps_typed"):
        raise InvalidConfig(f"{name!r} is no serialiser, it is of type {type(made).__name__}; expected an object like EncryptedSerializer")
    return cast(SerializerProtocol, made)
