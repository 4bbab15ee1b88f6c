"""Arrays out of pickles as Python 2 and 3 write them, against NumPy's own unpickling; and pickles that would do harm."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from rigdrop.convert.rigs import plain_pickle
from rigdrop.convert.rigs.plain_pickle import read_plain_pickle
from rigdrop.errors import ReadError

RNG = np.random.default_rng(0)
ARRAYS = {
    "doubles": RNG.normal(size=(5, 3, 4)), "singles": RNG.normal(size=(7, 2)).astype(np.float32),
    "by columns": np.asfortranarray(RNG.normal(size=(6, 4))), "every other": RNG.normal(size=(8, 8))[::2, 1::3],
    "the other end first": np.arange(6, dtype=">i4").reshape(2, 3), "unsigned": np.array([[4294967295, 0], [0, 1]], np.uint32),
    "yes or no": np.array([True, False, True]), "one": np.array(3.5), "none": np.zeros((0, 3)),
}


class Leave:
    """A pickle that leaves a folder behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _write(folder: Path, content: bytes) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(content)
    return path


def _string(text: bytes) -> bytes:
    """Python 2's str, which held arrays' bytes."""
    return b"T" + struct.pack("<i", len(text)) + text


def _python2_array(array: np.ndarray) -> bytes:
    """Opcodes of protocol 2, as Python 2 wrote an array of doubles."""
    dtype = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(b"J" + struct.pack("<i", count) for count in array.shape) + b"t"
    return (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            b"(K\x01" + shape + dtype + b"\x89" + _string(array.tobytes()) + b"tb")


def _python2_object(kind: bytes, **state: bytes) -> bytes:
    return kind + b")\x81}" + b"".join(b"U" + bytes([len(key)]) + key.encode() + value + b"s" for key, value in state.items()) + b"b"


def _python2_dict(**values: bytes) -> bytes:
    return b"\x80\x02}" + b"".join(_string(key.encode()) + value + b"s" for key, value in values.items()) + b"."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_as_numpy_itself_unpickles_them(tmp_path, protocol):
    read = read_plain_pickle(_write(tmp_path, pickle.dumps(ARRAYS, protocol)))
    assert list(read) == list(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(read[key], array)
        assert read[key].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [csc_matrix, csr_matrix])
def test_sparse_matrices_come_whole(tmp_path, protocol, kind):
    whole = np.where(RNG.random((6, 9)) < 0.3, RNG.normal(size=(6, 9)), 0)
    read = read_plain_pickle(_write(tmp_path, pickle.dumps({"J_regressor": kind(whole)}, protocol)))
    np.testing.assert_array_equal(read["J_regressor"], whole)


def test_python_2s_arrays_and_sparse_matrices(tmp_path):
    whole = np.array([[0, 2.5, 0], [1.5, 0, -3]])
    sparse = csc_matrix(whole)
    ints = {name: getattr(sparse, name).astype(float) for name in ("indices", "indptr")}
    content = _python2_dict(v_template=_python2_array(ARRAYS["doubles"]), J_regressor=_python2_object(
        b"cscipy.sparse.csc\ncsc_matrix\n", _shape=b"K\x02K\x03\x86", data=_python2_array(sparse.data),
        **{name: pickle.dumps(array.astype(np.int32), 2)[2:-1] for name, array in ints.items()},
    ))
    # What is written by hand above is what NumPy takes for its own.
    by_hand = pickle.loads(_python2_dict(a=_python2_array(ARRAYS["doubles"])), encoding="latin1")
    np.testing.assert_array_equal(by_hand["a"], ARRAYS["doubles"])
    read = read_plain_pickle(_write(tmp_path, content))
    np.testing.assert_array_equal(read["v_template"], ARRAYS["doubles"])
    np.testing.assert_array_equal(read["J_regressor"], whole)


def test_chumpys_arrays_and_choices_without_chumpy(tmp_path):
    array = ARRAYS["doubles"]
    chosen = np.array([4, 0, 59, 7, 7, 8])
    select = {"idxs": pickle.dumps(chosen, 2)[2:-1], "preferred_shape": b"K\x02K\x03\x86"}
    inner = _python2_object(b"cchumpy.ch\nCh\n", x=_python2_array(array))
    content = _python2_dict(
        v_template=inner,
        shapedirs=_python2_object(b"cchumpy.reordering\nSelect\n", a=inner, **select),
        J=_python2_object(b"cchumpy.ch\nMatVecMult\n", mtx=_python2_array(array)), bs_type=_string(b"lrotmin"),
    )
    read = read_plain_pickle(_write(tmp_path, content))
    np.testing.assert_array_equal(read["v_template"], array)
    np.testing.assert_array_equal(read["shapedirs"], array.ravel()[chosen].reshape(2, 3))
    assert sorted(read) == ["shapedirs", "v_template"]  # what would have to be computed is left out, and so is text
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["value", "nested", "beside", "key of an array's state"])
def test_a_hostile_pickle_is_named_and_nothing_of_it_runs(tmp_path, protocol, place):
    trap = Leave(tmp_path / "ran")
    content = {"value": {"v_template": trap}, "nested": {"v_template": np.zeros(3), "pose_training_info": {"a": [trap]}},
               "beside": [trap, {"v_template": np.zeros(3)}],
               "key of an array's state": {"v_template": np.array([trap, None], dtype=object)}}[place]
    path = _write(tmp_path, pickle.dumps(content, protocol))
    told = r"model\.pkl: found a pickle that asks for \w+\.mkdir, expected arrays alone; nothing of it was run"
    with pytest.raises(ReadError, match=told) as caught:
        read_plain_pickle(path)
    assert not (tmp_path / "ran").exists() and ".npz" in str(caught.value)


@pytest.mark.parametrize("asked", [
    b"cbuiltins\neval\n", b"c__builtin__\ngetattr\n", b"cnumpy\nload\n", b"cnumpy\nndarray.tofile\n", b"cnumpy.core.multiarray\nfromfile\n",
    b"cscipy.sparse.csc\nnp\n", b"cnumpy.f2py.diagnose\nrun_command\n", b"crigdrop.files\natomic_path\n", b"\x82\x01",
])
def test_only_data_can_be_asked_for(tmp_path, asked):
    with pytest.raises(ReadError, match="expected"):
        read_plain_pickle(_write(tmp_path, b"\x80\x02}U\x01a" + asked + b"U\x011\x85Rs."))


@pytest.mark.parametrize("kind", [
    b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cchumpy.ch\nCh\n", b"c_codecs\nencode\n", b"ccopyreg\n_reconstructor\n",
])
def test_a_pickle_cannot_alter_what_reads_it(tmp_path, kind):
    """BUILD sets attributes of what is on the stack, were it a class of ours: the next file's arrays would be another's."""
    before = {name: dict(vars(value)) for name, value in vars(plain_pickle).items() if isinstance(value, type)}
    with pytest.raises(ReadError):
        read_plain_pickle(_write(tmp_path, b"\x80\x02}U\x01a" + kind + b"N}U\x05arrayK\x01s\x86bs."))
    assert {name: dict(vars(value)) for name, value in vars(plain_pickle).items() if isinstance(value, type)} == before


@pytest.mark.parametrize("content", [
    b"", b"\x80\x02", pickle.dumps(ARRAYS)[:300], pickle.dumps([1, 2]), b"PK\x03\x04", pickle.dumps(np.zeros(3)),
    _python2_dict(a=_python2_array(np.zeros(4)).replace(struct.pack("<i", 4), struct.pack("<i", 5), 1)),
    _python2_dict(a=_python2_object(b"cscipy.sparse.csc\ncsc_matrix\n", _shape=b"K\x02K\x03\x86")),
    _python2_dict(a=b"cchumpy.ch\nCh\n)\x81"),
], ids=["nothing", "cut at once", "cut", "a list", "a zip", "an array", "too few numbers", "half a matrix", "no state"])
def test_what_is_no_whole_pickle_of_arrays_is_an_error(tmp_path, content):
    with pytest.raises(ReadError, match=r"model\.pkl: found .* expected a dict of"):
        read_plain_pickle(_write(tmp_path, content))


def test_a_pickle_that_holds_itself_ends_in_an_error(tmp_path):
    with pytest.raises(ReadError, match="expected a dict of"):
        read_plain_pickle(_write(tmp_path, b"\x80\x02}U\x01acchumpy.ch\nCh\n)\x81q\x01}U\x01xh\x01sbs."))
