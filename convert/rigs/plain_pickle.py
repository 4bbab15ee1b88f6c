"""Arrays out of a pickle without running it: of all that it may ask for, only what is data is made, by classes of ours.

SMPL's older files are pickles of NumPy arrays, SciPy's sparse matrices and Chumpy's wrappers around arrays. Neither NumPy's
unpickling nor SciPy's nor Chumpy is involved here; anything else that a file asks for is refused by its name.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from ...errors import ReadError

_NUMBERS = re.compile(r"[<>=|]?([biuf])([1248])")


class _Inert:
    """What the pickle makes; its state is kept and never acted on. As a class it can't be altered by the pickle's BUILD either."""

    __slots__ = ("given", "state")
    given: tuple[Any, ...]
    state: Any

    def __init__(self, *given: Any) -> None:
        self.given, self.state = given, None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> NDArray[Any] | None:
        """The numbers that this stands for; nothing where it stands for none."""
        return None


class _Marker(_Inert):
    """A class that is only ever named, as an argument."""

    __slots__ = ()


class _Dtype(_Inert):
    """``numpy.dtype``: a code such as ``f8``, its byte order in the state."""

    __slots__ = ()

    def of_numbers(self) -> np.dtype[Any] | None:
        match = _NUMBERS.fullmatch(_text(self.given[0])) if self.given else None
        if match is None:
            return None
        order = _text(self.state[1]) if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        return np.dtype((order if order in "<>" else "=") + "".join(match.groups()))


class _Array(_Inert):
    """``numpy.core.multiarray._reconstruct``: an empty array, which its state fills."""

    __slots__ = ()

    def array(self) -> NDArray[Any] | None:
        _, shape, dtype, is_fortran, content = self.state
        numbers = dtype.of_numbers() if isinstance(dtype, _Dtype) else None
        if numbers is None or isinstance(content, list):
            return None
        return _array(content, numbers, shape, "F" if is_fortran else "C")


class _Buffer(_Inert):
    """``numpy.core.numeric._frombuffer``: how newer pickles keep an array."""

    __slots__ = ()

    def array(self) -> NDArray[Any] | None:
        content, dtype, shape, order = self.given
        numbers = dtype.of_numbers() if isinstance(dtype, _Dtype) else None
        return None if numbers is None else _array(content, numbers, shape, _text(order))


class _Sparse(_Inert):
    """A sparse matrix of SciPy's, by columns; its state names the arrays that make it up."""

    __slots__ = ()
    matrix: Any = csc_matrix

    def array(self) -> NDArray[Any] | None:
        data, indices, indptr = (plain(self.state[name]) for name in ("data", "indices", "indptr"))
        rows, columns = (int(count) for count in self.state["_shape"])
        matrix = self.matrix((data, indices, indptr), shape=(rows, columns))
        matrix.check_format(full_check=True)
        return np.asarray(matrix.toarray())


class _SparseRows(_Sparse):
    __slots__ = ()
    matrix = csr_matrix


class _Chumpy(_Inert):
    """One of Chumpy's: an array, or a choice of another's numbers. What it would have to compute stands for nothing."""

    __slots__ = ()

    def array(self) -> NDArray[Any] | None:
        state = self.state if isinstance(self.state, dict) else {}
        if "x" in state:
            return plain(state["x"])
        if "a" not in state or "idxs" not in state:
            return None
        source, chosen = plain(state["a"]), plain(state["idxs"])
        if source is None or chosen is None:
            return None
        picked = source.ravel()[chosen.astype(np.intp)]
        return picked.reshape(tuple(int(count) for count in state["preferred_shape"])) if "preferred_shape" in state else picked


class _Made(_Inert):
    """``copyreg._reconstructor``: an instance of one of the classes here."""

    __slots__ = ()

    def __new__(cls, kind: Any = None, *_: Any) -> Any:
        if not (isinstance(kind, type) and issubclass(kind, _Inert)):
            raise pickle.UnpicklingError("an object of an unknown class")
        return _Inert.__new__(kind)


class _Bytes(_Inert):
    """``_codecs.encode``, and ``bytes`` for none: how Python 3 writes bytes where Python 2 shall read them."""

    __slots__ = ()

    def __new__(cls, text: Any = "", *_: Any) -> Any:
        return str(text).encode("latin1")


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _array(content: Any, dtype: np.dtype[Any], shape: Any, order: str) -> NDArray[Any]:
    data = content.encode("latin1") if isinstance(content, str) else content
    array = np.frombuffer(data, dtype).reshape(tuple(int(count) for count in shape), order="F" if order == "F" else "C")
    return array.astype(dtype.newbyteorder("="))


_KNOWN: dict[tuple[str, str], type[_Inert]] = {
    ("numpy", "ndarray"): _Marker, ("numpy", "dtype"): _Dtype, ("_codecs", "encode"): _Bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Inert for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")},
    **{(f"scipy.sparse.{module}", "csc_matrix"): _Sparse for module in ("csc", "_csc")},
    **{(f"scipy.sparse.{module}", "csr_matrix"): _SparseRows for module in ("csr", "_csr")},
    **{(module, "_reconstructor"): _Made for module in ("copy_reg", "copyreg")},
    **{(module, "object"): _Marker for module in ("__builtin__", "builtins")},
    **{(module, "bytes"): _Bytes for module in ("__builtin__", "builtins")},
}
_FAULTS = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError, OSError, OverflowError, MemoryError,
    RuntimeError, SyntaxError,
)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return the class of ours that stands for what a pickle asks for; raises `ReadError` for anything that is not data."""
        if module.split(".")[0] == "chumpy":
            return _Chumpy
        if (module, name) not in _KNOWN:
            raise ReadError(f"{self._path}: found a pickle that asks for {module}.{name}, expected arrays alone; nothing of it was run. "
                            "Use the same model as .npz, which holds no programs")
        return _KNOWN[module, name]


def plain(value: Any) -> NDArray[Any] | None:
    """Return a value of a pickle as the array that it stands for; nothing where it stands for none."""
    return value.array() if isinstance(value, _Inert) else None


def read_plain_pickle(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a pickled dict by key, what is no array left out.

    Raises `ReadError` where the file is cut or no such pickle, or asks for anything but data; nothing in it is executed.
    """
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, path).load()
        if not isinstance(content, dict):
            raise ReadError(f"{path}: found a pickled {type(content).__name__}, expected a dict of arrays")
        arrays = {_text(key): plain(value) for key, value in content.items()}
    except _FAULTS as error:
        told = " ".join(str(error).split())
        raise ReadError(f"{path}: found no whole pickle of arrays ({type(error).__name__}: {told}), expected a dict of them; copy it "
                        "again, or use the same model as .npz") from error
    return {key: array for key, array in arrays.items() if array is not None}
