from __future__ import annotations

import os

import pytest
import torch

from rigdrop.errors import MissingPartError, SettingsError
from rigdrop.ingest.pose.sam3d_body.device import Place, choose_device, free_bytes, multiplies_roughly, usable_cores, use_cores
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions

CPU = torch.device("cpu")


def test_the_best_device_there_is_is_taken_by_itself():
    place = choose_device(Sam3dOptions())
    if not torch.cuda.is_available():
        assert place.device == CPU and place.name == "cpu"
        assert place.precision == ("bfloat16" if multiplies_roughly(CPU) else "float32")
    else:
        assert place.device == torch.device("cuda:0") and place.name == torch.cuda.get_device_name(0)


@pytest.mark.parametrize(("says", "does"), [
    ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile\n", True),  # Intel and AMD
    ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", True),  # Arm
    ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\nbugs\t: bf16\n", False),
    ("", False),
])
def test_a_processor_that_multiplies_in_eight_bits_says_so(tmp_path, says, does):
    (tmp_path / "cpuinfo").write_text(says)
    assert multiplies_roughly(CPU, tmp_path / "cpuinfo") is does
    assert not multiplies_roughly(CPU, tmp_path / "none")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_precision_that_is_named_is_taken(precision):
    place = choose_device(Sam3dOptions(device="cpu", precision=precision))
    assert place == Place(CPU, getattr(torch, precision)) and place.precision == precision


def test_a_device_that_is_not_there_is_missing():
    with pytest.raises(MissingPartError, match=r"found no cuda:99 on this machine, expected .*cpu.*; take one of these or auto"):
        choose_device(Sam3dOptions(device="cuda:99"))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:one", "cpu:1", "", "tpu:0", "cuda:-1"])
def test_a_name_that_no_device_has_is_an_error(name):
    if name == "cuda:" and torch.cuda.is_available():
        pytest.skip("it is the first GPU")
    with pytest.raises((SettingsError, MissingPartError), match=f"device: found .*{name}"):
        choose_device(Sam3dOptions(device=name))


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 1), ("10000 100000", 1), ("max 100000", None), ("99900000 100000", None)])
def test_a_container_s_share_of_cores_counts(tmp_path, quota, cores):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    everything = len(os.sched_getaffinity(0))
    assert usable_cores(tmp_path / "cpu.max") == (cores or everything)
    assert usable_cores(tmp_path / "none") == everything


def test_threads_only_ever_become_fewer():
    before = torch.get_num_threads()
    try:
        use_cores(Place(CPU, torch.float32))
        assert torch.get_num_threads() == min(before, usable_cores())
    finally:
        torch.set_num_threads(before)


def test_free_memory_is_less_than_all_of_it():
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < free_bytes(CPU) < pages
