from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import torch

from benchmarks.datasets.bundle import DataBundle, Fold, Split, TrainingData
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory import reconstruction
from benchmarks.models.trajectory.descriptor import curve, orthonormal, svd_basis
from benchmarks.models.trajectory.reconstruction import reconstruct, reconstruction_error
from benchmarks.trajectory import table1


def walks(pedestrians: int = 30, steps: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(pedestrians, steps, 2, generator=generator, dtype=torch.float64).add(1).cumsum(1)


def test_least_squares_is_that_of_numpy_for_curves_and_for_bases() -> None:
    paths = walks()
    bezier, (basis, _) = curve("bezier", 12, degree=3), svd_basis(paths, 5)
    fits, projections = reconstruct(paths, bezier), reconstruct(paths, basis)
    for path, fit, projection in zip(paths.numpy(), fits.numpy(), projections.numpy(), strict=True):
        np.testing.assert_allclose(fit, bezier.numpy() @ np.linalg.lstsq(bezier.numpy(), path, rcond=None)[0])
        np.testing.assert_allclose(projection.ravel(), basis.numpy() @ (basis.numpy().T @ path.ravel()))


@pytest.mark.parametrize("criterion", ["lsq", "irls"])
def test_a_curve_and_its_orthonormal_basis_fit_alike(criterion: str) -> None:
    paths, spline = walks(), curve("bspline", 12, degree=2, control_points=5)
    torch.testing.assert_close(
        reconstruct(paths, spline, criterion), reconstruct(paths, orthonormal(spline), criterion), atol=1e-6, rtol=0
    )


def test_reweighting_minimises_the_mean_distance_as_a_general_optimiser_does() -> None:
    paths, bezier = walks(5), curve("bezier", 12, degree=2).numpy()

    def distance(control: np.ndarray, path: np.ndarray) -> float:
        return np.linalg.norm(bezier @ control.reshape(3, 2) - path, axis=1).mean()

    found = (reconstruct(paths, torch.as_tensor(bezier), "irls") - paths).norm(dim=-1).mean(1)
    for path, value in zip(paths.numpy(), found.tolist(), strict=True):
        start = np.linalg.lstsq(bezier, path, rcond=None)[0].ravel()
        best = scipy.optimize.minimize(distance, start, args=(path,), method="BFGS", options={"gtol": 1e-9})
        assert value == pytest.approx(best.fun, abs=2e-4)
        assert value >= best.fun - 1e-6


def test_reweighting_never_raises_the_mean_distance_and_never_lowers_the_squared_one() -> None:
    paths, family = walks(), curve("dct", 12, coefficients=3)
    lsq, irls = ((reconstruct(paths, family, criterion) - paths).norm(dim=-1) for criterion in ("lsq", "irls"))
    assert (irls.mean(1) <= lsq.mean(1) + 1e-12).all()
    assert (irls.square().mean(1) >= lsq.square().mean(1) - 1e-12).all()


def test_one_far_point_does_not_bend_the_line_that_minimises_the_mean_distance() -> None:
    path = torch.stack((torch.arange(12.0), torch.zeros(12)), dim=1)[None]
    path[0, 4, 1] = 5
    fit = reconstruct(path, curve("linear", 12), "irls")
    assert (fit - path).norm(dim=-1)[0].topk(2).values[1] < 1e-3


@pytest.mark.parametrize("criterion", ["lsq", "irls"])
def test_paths_of_the_family_are_met_exactly_and_standing_pedestrians_too(criterion: str) -> None:
    bezier = curve("bezier", 12, degree=3)
    drawn = bezier @ torch.randn(6, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn[0] = 0
    assert reconstruction_error(drawn, bezier, criterion) == pytest.approx(0, abs=1e-12)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    paths, family = walks(), curve("legendre", 12, coefficients=3)
    whole = reconstruct(paths, family, "irls")
    monkeypatch.setattr(reconstruction, "CHUNK", 7)
    torch.testing.assert_close(reconstruct(paths, family, "irls"), whole)


def test_no_path_has_no_error() -> None:
    assert np.isnan(reconstruction_error(torch.zeros(0, 12, 2), curve("linear", 12), "irls"))


def test_an_unknown_criterion_and_a_family_of_another_length_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="Unknown criterion 'l1'"):
        reconstruct(walks(), curve("linear", 12), "l1")
    with pytest.raises(BenchmarkError, match=r"8 rows .* 12 points"):
        reconstruct(walks(), curve("linear", 8))


def bundle(seed: int = 0) -> DataBundle:
    """One fold of walks, of which some stand."""

    def split(seed: int) -> Split:
        paths = walks(40, 20, seed).float().numpy() * 0.3
        paths[:5] = paths[:5, :1]
        return Split({"obs": paths[:, :8], "pred": paths[:, 8:]}, np.arange(40), np.arange(40))

    data = TrainingData(split(seed), split(seed + 1), {"static_distance": 0.4})
    return DataBundle("eth_ucy", "", (Fold("walks", data, split(seed + 2)),))


def test_the_table_has_a_line_for_every_family_and_says_where_its_basis_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table1, "open_bundle", lambda _: bundle())
    assert table1.main(["--irls"]) == 0
    header, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()
    ]
    assert header == ["family", "parameters", "basis", "fit", "walks", "mean"]
    families = list(table1.families())
    assert [line[0] for line in lines] == 2 * [family.name for family in families]
    assert {line[2] for line in lines} == {"fixed", "in sample", "other scenes"}
    assert {line[3] for line in lines} == {"lsq", "irls"}


def test_a_basis_of_other_scenes_never_fits_better_in_squares_than_that_of_the_test_paths() -> None:
    scene = table1.Scene.of(bundle().folds[0])
    lines = {(family.name, family.basis): family for family in table1.families()}
    inside, outside = (
        lines["SVD, k=6", basis].fit(scene, "lsq")[1].square().sum() for basis in ("in sample", "other scenes")
    )
    assert inside <= outside
    split = lines["SVD, k=6, moving and static", "other scenes"].fit(scene, "lsq")[1]
    assert split.shape == (40, 12)


TABLE_1 = """
linear                    lsq .0760/.1931 .0317/.0447 .0458/.0873 .0412/.0709 .0277/.0555 .0445/.0903
Bezier, degree 2          lsq .0475/.0904 .0225/.0307 .0181/.0366 .0170/.0304 .0107/.0227 .0232/.0421
Bezier, degree 3          lsq .0325/.0608 .0172/.0246 .0101/.0208 .0093/.0177 .0059/.0124 .0150/.0273
Bezier, degree 5          lsq .0169/.0353 .0091/.0177 .0038/.0097 .0034/.0081 .0023/.0057 .0071/.0153
B-spline, degree 2, n=3   lsq .0322/.0593 .0171/.0243 .0098/.0200 .0091/.0169 .0058/.0119 .0148/.0265
B-spline, degree 2, n=5   lsq .0167/.0344 .0090/.0173 .0037/.0090 .0033/.0075 .0022/.0053 .0070/.0147
B-spline, degree 3, n=5   lsq .0168/.0348 .0090/.0175 .0038/.0094 .0034/.0078 .0023/.0055 .0070/.0150
linear                    irls .0723/.1845 .0298/.0421 .0443/.0842 .0399/.0683 .0268/.0534 .0426/.0865
Bezier, degree 2          irls .0445/.0847 .0207/.0285 .0169/.0345 .0158/.0287 .0099/.0214 .0216/.0395
Bezier, degree 3          irls .0275/.0568 .0147/.0225 .0085/.0195 .0078/.0165 .0050/.0116 .0127/.0254
Bezier, degree 5          irls .0132/.0305 .0072/.0152 .0029/.0082 .0026/.0068 .0017/.0048 .0055/.0131
SVD, k=1                  lsq .1428/.4653 .0590/.1566 .0948/.3639 .0866/.3306 .0607/.2432 .0888/.3119
SVD, k=2                  lsq .0679/.2639 .0301/.0606 .0415/.1256 .0361/.1011 .0232/.0794 .0397/.1261
SVD, k=3                  lsq .0509/.1467 .0233/.0484 .0204/.0820 .0194/.0704 .0123/.0527 .0253/.0800
SVD, k=4                  lsq .0397/.1065 .0195/.0355 .0144/.0452 .0129/.0378 .0081/.0278 .0189/.0506
SVD, k=5                  lsq .0307/.0822 .0165/.0312 .0093/.0336 .0084/.0296 .0054/.0207 .0141/.0394
SVD, k=6                  lsq .0269/.0654 .0143/.0273 .0076/.0230 .0068/.0198 .0044/.0137 .0120/.0299
SVD, k=8                  lsq .0194/.0498 .0109/.0230 .0049/.0147 .0043/.0124 .0028/.0086 .0085/.0217
SVD, k=12                 lsq .0064/.0329 .0029/.0171 .0014/.0078 .0012/.0065 .0007/.0047 .0025/.0138
SVD, k=6, other scenes    lsq .0273/.0676 .0151/.0276 .0077/.0231 .0068/.0200 .0047/.0137 .0123/.0304
SVD, k=6, moving and static, other scenes lsq .0268/.0676 .0146/.0276 .0075/.0231 .0066/.0200 .0043/.0137 .0120/.0304
"""


@pytest.mark.slow
def test_table_1_of_the_real_test_paths_is_reproduced_to_its_last_digit(mirror: Path) -> None:
    scenes = [table1.Scene.of(fold) for fold in open_bundle("eth_ucy", progress=False).folds]
    elsewhere = {True: ", other scenes", False: ""}
    families = {family.name + elsewhere[family.basis == "other scenes"]: family for family in table1.families()}
    for line in TABLE_1.strip().splitlines():
        name, criterion, *cells = line.rsplit(maxsplit=7)
        expected = [[float(value) for value in cell.split("/")] for cell in cells]
        found = table1.errors(families[name], scenes, criterion)
        np.testing.assert_allclose(found, expected, atol=6e-5, err_msg=f"{name}, {criterion}")
