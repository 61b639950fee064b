"""Attributes of the objects of a record, by HDF5's own functions.

A record has some hundreds of them, and the short form of h5py takes ten times as long for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np


def set_texts(owner: h5py.h5g.GroupID | h5py.h5d.DatasetID, texts: Mapping[str, str]) -> None:
    """Give an object attributes of text, UTF-8 of any length, that it does not have yet."""
    if not texts:
        return
    form = h5py.string_dtype()
    kind, space = h5py.h5t.py_create(form, logical=True), h5py.h5s.create(h5py.h5s.SCALAR)
    for name, text in texts.items():
        made = h5py.h5a.create(owner, name.encode(), kind, space)
        made.write(np.array(text, form))


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
