"""The material law: against the textbook formula, its own derivatives, and exact arithmetic at tiny strains."""

from fractions import Fraction

import numpy as np
import pytest

from shearbench.mechanics.kernels import energy_density, stress, tangent_factors
from shearbench.mechanics.material import lame_parameters, young_modulus

MU, LAM = 3.1, 5.7


def textbook_energy(H):
    F = np.eye(3)
    F[:2, :2] += H
    J = np.linalg.det(F)
    return MU / 2 * (np.sum(F * F) - 3 - 2 * np.log(J)) + LAM / 2 * ((J**2 - 1) / 2 - np.log(J))


@pytest.fixture
def gradients(rng):
    """Displacement gradients up to 40 % strain."""
    return rng.uniform(-0.4, 0.4, (20, 2, 2))


def test_energy_is_the_textbook_formula(gradients):
    for H in gradients:
        assert energy_density(*H.ravel(), MU, LAM) == pytest.approx(textbook_energy(H), rel=1e-13)


def test_energy_at_tiny_strain_keeps_its_digits():
    """To third order psi = mu (H:H - 2 det H)/2 + (mu + lambda)/2 j^2 - (mu + lambda/2)/3 j^3, in exact fractions."""
    h11, h12, h21, h22 = (Fraction(n, 10**9) for n in (30, -12, 7, -45))
    det_h = h11 * h22 - h12 * h21
    j = h11 + h22 + det_h
    mu, lam = Fraction(MU), Fraction(LAM)
    deviatoric = mu / 2 * (h11**2 + h12**2 + h21**2 + h22**2 - 2 * det_h)
    exact = deviatoric + (mu + lam) / 2 * j**2 - (mu + lam / 2) / 3 * j**3
    value = energy_density(float(h11), float(h12), float(h21), float(h22), MU, LAM)
    assert value == pytest.approx(float(exact), rel=1e-9, abs=0)
    H = np.array([[float(h11), float(h12)], [float(h21), float(h22)]])
    assert textbook_energy(H) != pytest.approx(float(exact), rel=1e-3, abs=0), "the textbook form loses its digits"


def test_stress_is_the_derivative_of_the_energy(gradients):
    step = 1e-6
    for H in gradients:
        h = H.ravel()
        for k, component in enumerate(stress(*h, MU, LAM)):
            e = step * np.eye(4)[k]
            slope = (textbook_energy((h + e).reshape(2, 2)) - textbook_energy((h - e).reshape(2, 2))) / (2 * step)
            assert component == pytest.approx(slope, rel=1e-7, abs=1e-7)


def test_tangent_is_the_derivative_of_the_stress(gradients, rng):
    step = 1e-6
    for H in gradients:
        F, dF = np.eye(2) + H, rng.standard_normal((2, 2))
        cof = np.array([[F[1, 1], -F[1, 0]], [-F[0, 1], F[0, 0]]])
        cof_of_dF = np.array([[dF[1, 1], -dF[1, 0]], [-dF[0, 1], dF[0, 0]]])
        g, slope = tangent_factors(np.linalg.det(F) - 1, MU, LAM)
        dP = MU * dF + slope * np.sum(cof * dF) * cof + g * cof_of_dF
        plus, minus = (np.reshape(stress(*(H + s * step * dF).ravel(), MU, LAM), (2, 2)) for s in (1, -1))
        assert dP == pytest.approx((plus - minus) / (2 * step), rel=1e-6, abs=1e-6)


def test_grey_values_become_moduli():
    young = young_modulus(np.array([0, 51, 255], dtype=np.uint8))
    assert young == pytest.approx([1.0, 20.8, 100.0])
    mu, lam = lame_parameters(young)
    assert mu == pytest.approx(young / 2.6)
    assert lam == pytest.approx(young * 0.3 / 0.52)
