"""Groups, datasets and attributes of a record, by HDF5's own functions.

A record has some hundreds of them, and the short form of h5py takes ten times as long for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

_TEXT = h5py.string_dtype()
"""Text in UTF-8, of any length."""


def make_group(parent: h5py.h5g.GroupID, path: str) -> h5py.h5g.GroupID:
    """Make a group below another one, with those on the way; there must be none of its name."""
    return h5py.h5g.create(parent, path.encode(), lcpl=_links())


def group_at(parent: h5py.h5g.GroupID, path: str) -> h5py.h5g.GroupID:
    """Return the group at a path below another one, made where there is none."""
    found = parent
    for name in path.split("/"):
        encoded = name.encode()
        there = found.links.exists(encoded)
        found = h5py.h5g.open(found, encoded) if there else make_group(found, name)
    return found


def make_dataset(
    parent: h5py.h5g.GroupID,
    name: str,
    values: ArrayLike,
    attributes: Mapping[str, Any] | None = None,
) -> h5py.h5d.DatasetID:
    """Make a dataset that holds these values, with room in the file at once."""
    array: NDArray[Any] = np.asarray(values, order="C")
    space = h5py.h5s.create_simple(array.shape) if array.shape else _one()
    kind = kind_of(array.dtype)
    made = h5py.h5d.create(parent, name.encode(), kind, space, contiguous())
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    set_attributes(made, attributes or {})
    return made


def make_text(parent: h5py.h5g.GroupID, name: str, text: str) -> None:
    """Make a dataset of one text, UTF-8 of any length."""
    made = h5py.h5d.create(parent, name.encode(), kind_of(_TEXT), _one())
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(text, _TEXT))


def make_texts(parent: h5py.h5g.GroupID, name: str, texts: Sequence[str]) -> None:
    """Make a dataset of texts, (texts,), UTF-8 of any length; an empty one where there is none."""
    size = (len(texts),)
    space = h5py.h5s.create_simple(size) if texts else h5py.h5s.create(h5py.h5s.NULL)
    made = h5py.h5d.create(parent, name.encode(), kind_of(_TEXT), space)
    if texts:
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(texts, _TEXT))


def contiguous() -> h5py.h5p.PropDCID:
    """Return the properties of a dataset that has its whole place in the file at once."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return plist


@cache
def placeless() -> h5py.h5p.PropDCID:
    """Return the properties of a dataset whose values get a place when they are first written."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return plist


def set_attributes(owner: h5py.h5g.GroupID | h5py.h5d.DatasetID, values: Mapping[str, Any]) -> None:
    """Give an object attributes that it does not have yet: texts, lists of texts, numbers, truth.

    Texts are UTF-8 of any length.
    """
    for name, value in values.items():
        is_text = isinstance(value, str | list)
        array = np.array(value, _TEXT if is_text else None)
        kind = kind_of(array.dtype)
        space = h5py.h5s.create_simple(array.shape) if array.ndim else _one()
        made = h5py.h5a.create(owner, name.encode(), kind, space)
        made.write(array, _kind_in_memory(array.dtype))


def copy_attributes(source: Any, target: Any) -> None:
    """Give ``target``, of another file, the attributes of ``source``; both identifiers of HDF5."""
    for index in range(h5py.h5a.get_num_attrs(source)):
        given = h5py.h5a.open(source, index=index)
        space = given.get_space()
        made = h5py.h5a.create(target, given.name, given.get_type(), space)
        if space.get_simple_extent_type() != h5py.h5s.NULL:
            values = np.empty(given.shape, given.dtype)
            given.read(values)
            made.write(values)


@cache  # as are types: neither changes, and making one takes as long as an attribute
def _one() -> h5py.h5s.SpaceID:
    return h5py.h5s.create(h5py.h5s.SCALAR)


def kind_of(dtype: np.dtype[Any]) -> h5py.h5t.TypeID:
    """Return the type of HDF5 for values of a type of NumPy."""
    # Types of text are equal to others of NumPy, which do not know how long it may be.
    if h5py.check_string_dtype(dtype) is None:
        return _kind_of_numbers(dtype)
    return _text_kind() if dtype is _TEXT else h5py.h5t.py_create(dtype, logical=True)


@lru_cache(maxsize=64)
def _kind_of_numbers(dtype: np.dtype[Any]) -> h5py.h5t.TypeID:
    return h5py.h5t.py_create(dtype, logical=True)


@lru_cache(maxsize=64)  # for each value h5py would make it anew
def _kind_in_memory(dtype: np.dtype[Any]) -> h5py.h5t.TypeID:
    """Return the type of HDF5 of values in memory, where a text is an object of Python."""
    return h5py.h5t.py_create(dtype)


@cache
def _text_kind() -> h5py.h5t.TypeID:
    return h5py.h5t.py_create(_TEXT, logical=True)


@cache  # names in UTF-8, and the groups on the way to one made with it
def _links() -> h5py.h5p.PropLCID:
    plist = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    plist.set_create_intermediate_group(True)
    plist.set_char_encoding(h5py.h5t.CSET_UTF8)
    return plist
