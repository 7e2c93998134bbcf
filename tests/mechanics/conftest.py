"""Three digits of MNIST with the strain energies published for them, and sizes that tests share.

Bitmaps: MNIST test digits 0, 1 and 18 (a 7, a 2 and a 3; LeCun & Cortes, CC BY-SA 3.0), zlib-packed. Energies:
Mechanical MNIST, uniaxial extension, the thirteen published displacements (Lejeune 2020, CC BY-SA 3.0), five decimals.
"""

import base64
import gzip
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from shearbench.mechanics.block import build_block
from shearbench.mechanics.loads import LOADS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # scikit_fem_model, the independent judge

PACKED = [
    (  # test digit 0
        "c-muN7%m`W=ltn5D%j=j{R4uJ$Dm-939_7Xkw?+u$NwGzRs4GT?_UpwW<e)DXJ=<?(Kr9HaM>OF_o5IEDY2LTgK=qV{P#`=hm`ft"
        "e|EUEwf@`9ibIO?><=qk+Uovo!zJbY`-3G8DdD^Smf?_MKK<{uG7dSlfB$@ONXb9=SImghYyV7eNZEeEEm!&P-)#+?a_5DJPelM)"
        "he#I"
    ),
    (  # test digit 1
        "c-muNpd~1&UH$+6v{-CXEB}JQEjjE`SNk^n{ab}0W%BFqB?TS^wsU`bFywrHUy=k;RX_eZVwx#01R^i~#U=*^rQiP^<H9cG^ZoC0"
        "dmP#t{{EeSLu$jfzw>#pOG&=^`%)Q)wqt+)_TrH8`|)=#4ikk>;MUgm_wQO9+8BQP{VU0UTTWX92v`|dMMPAmO`A5E3t0{fR`f4}"
        "vZ~>7>;59Z&+p$?mX=x~3@xj!t_EqDU0tooF!%rfb*6B$"
    ),
    (  # test digit 18
        "c-muN7zn_lIcbss4yne!fB*hkEQC$2^)DDab;BZ;`uESowCuNkzc+AU$Zh?*97x)}{`+?^E4tkOzuF+m>fqnMOIXn4cK=lX)8=pf"
        "{tZKun*@|g*%uxjKKbw8YBagHzkV7&Aa4D8KZGAejxUBs`NLlr_!5ckTJMFM;j$OC(Ot_dAfT=$ATaUs-@iLi15m^Y#<IHj_wROO"
        "Dc`%_{b6k0+kZcJAjw62|NF-h#xec<cR#YmlD~hgVeI5Te<z~&W6$5a^VC4B{LA0|qRKJw-2L|V_fH@I`Qn5ynkVA7KY{q~aE&--"
        "L`tZ3dDTUzvJXhYWB>q)CW>k"
    ),
]
PUBLISHED = [
    [
        0.00000,
        0.00000,
        0.00009,
        0.00937,
        0.23278,
        0.92396,
        3.63985,
        14.13370,
        30.91164,
        53.49105,
        81.46624,
        114.49863,
        152.30835,
    ],
    [
        0.00000,
        0.00000,
        0.00011,
        0.01058,
        0.26258,
        1.04059,
        4.08829,
        15.81466,
        34.50728,
        59.63018,
        90.74343,
        127.47770,
        169.51794,
    ],
    [
        0.00000,
        0.00000,
        0.00010,
        0.01023,
        0.25385,
        1.00625,
        3.95535,
        15.31407,
        33.44057,
        57.82545,
        88.04956,
        123.76064,
        164.65769,
    ],
]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """`simulate` sees to this itself; tests also call what is below it, and scikit-fem."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def digits():
    """uint8 (3, 28, 28), row 0 at the top."""
    return np.stack(
        [np.frombuffer(zlib.decompress(base64.b85decode(text)), np.uint8).reshape(28, 28) for text in PACKED]
    )


@pytest.fixture(scope="session")
def published():
    """Strain energies (3, 13) of `digits` under uniaxial extension."""
    return np.array(PUBLISHED)


@pytest.fixture(scope="session")
def first_500():
    """The first 500 MNIST test digits, uint8 (500, 28, 28), and their published energies (500, 13)."""
    folder = os.environ.get("SHEARBENCH_SHARED_DATA")
    if not folder:
        pytest.skip("SHEARBENCH_SHARED_DATA does not name the folder with full MNIST and the published energies")
    packed = Path(folder, "mnist", "t10k-images-idx3-ubyte.gz").read_bytes()
    images = np.frombuffer(gzip.decompress(packed), np.uint8, offset=16).reshape(-1, 28, 28)
    energies = np.loadtxt(Path(folder, "mechanical_reference", "uniaxial_psi_test_first500.txt"))
    return images[:500], energies


@pytest.fixture(params=sorted(LOADS))
def load(request):
    """The name of each load in turn."""
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(2020)


@pytest.fixture(params=[(1, 1), (2, 3)], ids=["1x1", "2x3"])
def block(request):
    """An oblong block under shear, of one and of 2 x 3 elements a pixel: no dimension can stand in for another."""
    return build_block(5, 4, LOADS["shear"], request.param)
