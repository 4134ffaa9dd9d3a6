"""Any value of any type of the model, made from its annotations as `wire` reads them."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import importlib
import pkgutil
import typing
from typing import Any

from hypothesis import strategies as st

import hullmark.model
from hullmark.model.wire import fields_of

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=6)
NUMBERS = st.floats(-1e299, 1e299, allow_nan=False)
ANY_JSON = st.one_of(st.none(), st.booleans(), st.integers(), TEXT)


def dataclasses_of_the_model() -> list[type]:
    """Every one, by name."""
    found: set[Any] = set()
    for module in pkgutil.iter_modules(hullmark.model.__path__):
        name = f"hullmark.model.{module.name}"
        for item in vars(importlib.import_module(name)).values():
            ours = isinstance(item, type) and item.__module__ == name
            if ours and dataclasses.is_dataclass(item):
                found.add(item)
    return sorted(found, key=lambda cls: (cls.__module__, cls.__name__))


@functools.cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of one annotation. A strategy is made once: each that is new is examined by hypothesis, with all that it leads to."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return st.one_of(st.none(), values(next(arg for arg in args if arg is not type(None))))
    if origin is tuple:
        return st.lists(st.deferred(lambda: values(args[0])), max_size=2).map(tuple)
    if origin is collections.abc.Mapping:
        return st.dictionaries(TEXT, st.deferred(lambda: values(args[1])), max_size=2)
    if dataclasses.is_dataclass(kind):
        return _instances(typing.cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    simple = {str: TEXT, int: st.integers(), float: NUMBERS, bool: st.booleans(), object: ANY_JSON}
    return simple[kind]


def _instances(cls: type) -> st.SearchStrategy[Any]:
    """Each field at its default or at any value, so that leaving defaults out is tried both ways."""
    members = {}
    for name, kind, default in fields_of(cls):
        strategy = values(kind)
        if default is not dataclasses.MISSING:
            strategy = st.one_of(st.just(default), strategy)
        members[name] = strategy
    return st.fixed_dictionaries(members).map(lambda found: cls(**found))
