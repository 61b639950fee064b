"""Convolution of images: by unrolled patches, or kernel element by kernel element.

By patches, each output position is one row vector of all the inputs below the kernel. Kernel
element first, the loop over the elements (y, x) of the kernel is outermost: each is a matrix
(channels, outputs) that meets the shifted image once, Y += W[y, x] · shift(X), and an element whose
weights are all 0 is left out. Source: CKFO, "convolution kernel first operated", S. Wen et al.,
IEEE Trans. CAD 40, 1640 (2021).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.blocks import MovingWindow
from hwloop.errors import StepError
from hwloop.types import FloatArray

Kernel = tuple[int, int, int]
"""Channels, height and width of a kernel."""

_PATCH_NUMBERS = 2**18  # of patches at a time: they stay in the processor's cache
_ALONE = 2**18  # multiplications up to which OpenBLAS does not wake other threads
_LEAST_TILE = 32


def patches(
    x: FloatArray, kernel: Kernel, *, padding: int, stride: int, layer: str = ""
) -> FloatArray:
    """Return the patches (..., batch, up, across, rows) of images.

    ``x``: (..., batch, channels, height, width). ``rows``: channels × height × width of the kernel,
    in that order, as its weights are flattened. Raises :class:`StepError` naming ``layer`` where
    ``x`` does not fit.
    """
    check_images(x, kernel, padding=padding, layer=layer)
    channels, height, width = kernel
    window = MovingWindow(height, width, padding, stride)
    up, across = window.places((x.shape[-2], x.shape[-1]))
    return window.vectors(x).reshape(*x.shape[:-3], up, across, channels * height * width)


def sums_by_patches(
    x: FloatArray,
    weights: FloatArray,
    kernel: Kernel,
    *,
    padding: int,
    stride: int,
    layer: str = "",
) -> FloatArray:
    """Compute sums (..., batch, outputs, up, across), the patches of a few images at a time.

    As :func:`sums_by_elements`. A patch is a column here, not a row as in :func:`patches`: lines of
    the image are copied whole, and the sums are images as they come.
    """
    padded = _padded(x, kernel, padding, layer)
    _, height, width = kernel
    up, across = MovingWindow(height, width, padding, stride).places((x.shape[-2], x.shape[-1]))
    padded = np.moveaxis(padded.reshape(-1, *padded.shape[-3:]), 0, 1)
    images, (rows, outputs), places = padded.shape[1], weights.shape, up * across
    sums = np.empty((images, outputs, places))
    at_once = max(1, _PATCH_NUMBERS // (rows * places))
    tile = _tile(rows * outputs, places)
    for begin in range(0, images, at_once):
        part = padded[:, begin : begin + at_once]
        columns = np.empty((*kernel, part.shape[1], up, across))
        for top, left in np.ndindex(height, width):
            columns[:, top, left] = part[
                ...,
                top : top + stride * (up - 1) + 1 : stride,
                left : left + stride * (across - 1) + 1 : stride,
            ]
        of_part = sums[begin : begin + at_once]
        if tile is None:
            found = weights.T @ columns.reshape(rows, -1)
            of_part[...] = found.reshape(outputs, -1, places).swapaxes(0, 1)
        else:
            found = weights.T @ columns.reshape(rows, -1, tile).swapaxes(0, 1)
            by_image = found.reshape(len(of_part), -1, outputs, tile)
            of_part.reshape(len(of_part), outputs, -1, tile)[...] = by_image.swapaxes(1, 2)
    return sums.reshape(*x.shape[:-3], outputs, up, across)


def _tile(each: int, places: int) -> int | None:
    """Return into how many places a product is cut, so that one thread works on it.

    ``each``: multiplications of a place. OpenBLAS divides larger products among threads, which wait
    for each other longer than the small ones take. None: not worthwhile, so few would they be.
    """
    most = _ALONE // each
    tile = next((size for size in range(min(most, places), 0, -1) if places % size == 0), 0)
    return tile if tile >= _LEAST_TILE else None


def element_rows(kernel: Kernel) -> Iterator[tuple[int, ...]]:
    """Yield the rows of the flattened weights of each kernel element, one for each channel."""
    channels, height, width = kernel
    for element in range(height * width):
        yield tuple(range(element, channels * height * width, height * width))


def sums_by_elements(
    x: FloatArray,
    weights: FloatArray,
    kernel: Kernel,
    *,
    padding: int,
    stride: int,
    layer: str = "",
) -> FloatArray:
    """Compute sums (..., batch, outputs, up, across), kernel element by kernel element.

    ``x``: (..., batch, channels, height, width). ``weights``: (channels × height × width of the
    kernel, outputs), without bias. An element, or a channel of it, whose weights are all 0 is left
    out. Raises :class:`StepError` naming ``layer`` where ``x`` does not fit.
    """
    _, height, width = kernel
    padded = _padded(x, kernel, padding, layer)
    up = (padded.shape[-2] - height) // stride + 1
    across = (padded.shape[-1] - width) // stride + 1
    sums = np.zeros((*x.shape[:-3], weights.shape[1], up * across))
    for element, rows in enumerate(element_rows(kernel)):
        part = weights[list(rows)]
        channels = np.flatnonzero(part.any(axis=1))
        if not channels.size:
            continue
        top, left = divmod(element, width)
        shifted = padded[
            ...,
            channels,
            top : top + stride * (up - 1) + 1 : stride,
            left : left + stride * (across - 1) + 1 : stride,
        ]
        sums += part[channels].T @ shifted.reshape(*x.shape[:-3], channels.size, up * across)
    return sums.reshape(*sums.shape[:-1], up, across)


def check_images(x: FloatArray, kernel: Kernel, *, padding: int, layer: str = "") -> None:
    """Raise :class:`StepError` naming ``layer`` where images (..., channels, height, width) misfit.

    They have other channels, or are smaller than the kernel.
    """
    channels, height, width = kernel
    if x.ndim < 4 or x.shape[-3] != channels:
        raise StepError(
            f"layer {layer}: takes (samples, {channels}, height, width), gets {x.shape}"
        )
    if x.shape[-2] + 2 * padding < height or x.shape[-1] + 2 * padding < width:
        raise StepError(
            f"layer {layer}: an image of {x.shape[-2]} × {x.shape[-1]} with padding {padding} is"
            f" smaller than the kernel of {height} × {width}"
        )


def _padded(x: FloatArray, kernel: Kernel, padding: int, layer: str) -> FloatArray:
    check_images(x, kernel, padding=padding, layer=layer)
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2)
