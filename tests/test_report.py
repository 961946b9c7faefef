"""The page of a report: complete, self-contained, safe from strangers' text; and TensorBoard."""

import base64
import io
import re
import shutil
import subprocess

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from scipy.special import ndtri
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from facezoo import metrics
from facezoo.evaluation import plots
from facezoo.evaluation.report import write_html, write_tensorboard
from facezoo.evaluation.report.accuracy_thresholds import accuracy_thresholds, verdicts
from facezoo.evaluation.report.curves import Curve, thinned_curve
from facezoo.evaluation.report.pictures import NUM_WORST, worst_pairs
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.pages.digits import NONE, plain, share
from tests import reports
from tests.html_page import Page
from tests.photographs import encoded, photograph

_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_HOSTILE = "</script><script>alert('x')</script><img src=https://example.org/a.png>"


@pytest.fixture(scope="module")
def scored():
    return reports.scored_pairs()


@pytest.fixture(scope="module")
def written(tmp_path_factory, scored):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(path, reports.make_report(scored), scored, reports.pictures_of)
    return path


@pytest.fixture(scope="module")
def page(written):
    return Page(written.read_text())


def read(tmp_path, scored, picture=None, **parts):
    path = tmp_path / "page.html"
    write_html(path, reports.make_report(scored, **parts), scored, picture)
    return Page(path.read_text())


def test_the_page_needs_nothing_else_and_the_browser_holds_it_to_that(page):
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert len(addresses) == 4 * NUM_WORST
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert "@import" not in page.texts["style"][0] and "url(" not in page.texts["style"][0]
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_equal_reports_are_equal_bytes(tmp_path, scored, written):
    again = tmp_path / "again.html"
    write_html(again, reports.make_report(scored), scored, reports.pictures_of)
    assert again.read_bytes() == written.read_bytes()


def test_numbers_stand_in_the_table_with_their_intervals(page, scored):
    auc = metrics.auc(scored["model"].genuine, scored["model"].impostor)
    other = metrics.auc(scored["pixels"].genuine, scored["pixels"].impostor)
    rows = page.rows()
    assert rows[0] == "Measure facenet raw pixels"
    assert rows[1] == f"AUC \u2191 {auc:.3f} [0.910, 0.930] {other:.3f} [0.910, 0.930]"
    point = metrics.val_at_far(scored["model"].genuine, scored["model"].impostor, 0.01, True)
    (row,) = [row for row in rows if row.startswith("VAL at FAR \u2264 1e-2")]
    assert f"\u2191 {100 * point.val:.0f} % [70, 90] threshold {point.threshold:.4f} FAR" in row
    (row,) = [row for row in rows if row.startswith("VAL at FAR \u2264 1e-6")]
    assert row.endswith("refused too few impostor pairs refused too few impostor pairs")
    assert "Accuracy: threshold of 10 other people" in page.text


def test_parts_that_the_report_lacks_vanish_and_others_stand_in_order(tmp_path, scored, page):
    always = ["LFW View 1", "Scores", "Curves", "Distances", "Worst pairs of facenet"]
    assert page.headings == [*always, "How it was made"]
    sliced = reports.make_report(scored)["systems"]
    sliced["model"]["slices"] = [reports.SLICE]
    full = read(tmp_path, scored, **reports.PARTS, systems=sliced)
    further = ["Scores by slice", "Thresholds", "Robustness", "Quantization"]
    further.append("Overlap of training and test")
    assert full.headings == [*always, *further, "How it was made"]
    rows = full.rows()
    for expected in (
        f"pose: profile 40 0 {NONE} 75 % [60, 86] {NONE}",
        "far_1e-2 1.0625 90 % [85, 95]",
        f"90 {NONE} 0.9 {NONE}",
        "unspoiled 88 % [80, 90] 0.95 90.00 %",
        "128 0.9912 62.50 %",
    ):
        assert expected in rows
    assert "Slope" not in full.text and "slope -5.5" in full.text
    assert list(full.charts) == [
        "det",
        "distances-model",
        "distances-pixels",
        "robustness-0",
        "roc",
    ]


def test_contamination_is_said_first_and_only_where_there_is_any(tmp_path, scored, page):
    assert not [tag for tag, attributes in page.tags if attributes.get("role") == "alert"]
    found = read(tmp_path, scored, contaminated={"num_people": 1234, "reason": "Same names"})
    tags = [tag for tag, _ in found.tags]
    (place,) = [n for n, (_, a) in enumerate(found.tags) if a.get("role") == "alert"]
    assert tags[place - 1] == "h1"
    assert "Contaminated. Same names. These numbers promise more" in found.text


def test_strangers_text_stays_text(tmp_path, scored):
    systems = {"model": (_HOSTILE, 0.9), "pixels": ("raw pixels", 0.2)}
    report = reports.make_report(scored, systems, title=_HOSTILE)
    report["contaminated"] = {"num_people": 1, "reason": _HOSTILE}
    report["options"] |= {_HOSTILE: _HOSTILE}
    report["robustness"] = [reports.ROBUSTNESS | {"name": _HOSTILE}]
    picture = (_HOSTILE, encoded(photograph(1), "PNG")), ("\udcff.png", b"no image")
    path = tmp_path / "page.html"
    write_html(path, report, scored, lambda pair: picture)
    found = Page(path.read_text())
    assert len(found.scripts()) == 3
    assert {a["src"][:5] for tag, a in found.tags if tag == "img"} == {"data:"}
    assert found.texts["h1"] == [_HOSTILE]
    # Plotly draws a few tags that it finds in names.
    assert "<" not in found.charts["roc"]["data"][0]["name"]
    assert "<" not in found.charts["robustness-0"]["layout"]["xaxis"]["title"]["text"]
    assert "cannot be shown: not an image" in found.text and "\\udcff.png" in found.text


def test_charts_are_what_plotly_knows_and_stand_where_their_figures_are(page, tmp_path, scored):
    full = read(tmp_path, scored, robustness=[reports.ROBUSTNESS])
    for key, chart in full.charts.items():
        go.Figure(chart)
        assert [a for tag, a in full.tags if a.get("id") == key and a.get("class") == "chart"]
        for axis in ("xaxis", "yaxis"):
            assert chart["layout"][axis]["title"]["text"]


def test_roc_and_det_show_every_system_and_its_operating_points(page, scored):
    report = reports.make_report(scored)
    for key, place in (("roc", Curve.on_roc), ("det", Curve.on_det)):
        traces = page.charts[key]["data"]
        assert [trace["mode"] for trace in traces[:4]] == ["lines", "markers"] * 2
        for number, name in enumerate(scored):
            points = report["systems"][name]["val_at_far"][:2]
            far, val = ([point[rate] for point in points] for rate in ("far", "val"))
            x, y = place(thinned_curve(scored[name]), far, val)
            markers = traces[2 * number + 1]
            np.testing.assert_allclose(markers["x"], x, rtol=1e-5)
            np.testing.assert_allclose(markers["y"], y, rtol=1e-5)


def test_histograms_count_every_pair_and_show_the_thresholds(page, scored):
    genuine, impostor, *lines = page.charts["distances-model"]["data"]
    for bars, distance in (
        (genuine, scored["model"].genuine),
        (impostor, scored["model"].impostor),
    ):
        assert sum(row[2] for row in bars["customdata"]) == len(distance)
        assert sum(bars["y"]) == pytest.approx(1.0, abs=1e-4)
        middle = np.average(bars["x"], weights=bars["y"])
        assert middle == pytest.approx(distance.mean(), abs=0.02)
    report = reports.make_report(scored)["systems"]["model"]
    expected = [report["accuracy_threshold"]]
    expected += [point["threshold"] for point in report["val_at_far"][:2]]
    assert [line["x"][0] for line in lines] == pytest.approx(expected)


def test_a_thinned_curve_loses_nothing_of_few_pairs_and_stays_small_for_many():
    few = ScoredPairs(*_few(), np.full((8, 2), -1))
    curve, whole = thinned_curve(few), metrics.roc_curve(few.genuine, few.impostor)
    for far in np.unique(whole.far):
        assert curve.val[curve.far == far].max() == whole.val[whole.far == far].max()
    pairs = reports.scored_pairs(200_000)["pixels"]
    curve, whole = thinned_curve(pairs), metrics.roc_curve(pairs.genuine, pairs.impostor)
    assert 500 < len(curve.far) <= 801
    found = np.interp(whole.far, curve.far, curve.val)
    assert np.abs(found - whole.val)[whole.far > 0].max() < 0.01
    kept = np.searchsorted(whole.threshold, curve.threshold)
    np.testing.assert_array_equal(whole.far[kept], curve.far)
    np.testing.assert_array_equal(whole.val[kept], curve.val)


def _few():
    distance = np.array([0.2, 0.5, 0.9, 1.4, 0.7, 1.2, 1.3, 1.9], np.float32)
    return distance, np.arange(8) < 4


def test_places_on_both_plots_by_hand():
    curve = Curve(*np.zeros((3, 1)), lowest_far=0.125, lowest_frr=0.05)
    x, y = curve.on_roc([0.0, 0.5], [0.25, 1.0])
    assert (x.tolist(), y.tolist()) == ([0.125, 0.5], [0.25, 1.0])
    x, y = curve.on_det([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(x, ndtri([0.125, 0.5, 0.875]))
    np.testing.assert_allclose(y, ndtri([0.95, 0.5, 0.05]))


def test_the_worst_pairs_are_the_worst_in_order_and_equal_ones_in_theirs():
    generator = np.random.default_rng(0)
    distance = (generator.integers(0, 250, 5000) / 64).astype(np.float32)
    same = generator.random(5000) < 0.5
    pairs = ScoredPairs(distance, same, np.full((5000, 2), -1))
    accepts, rejects = worst_pairs(pairs, [2.0], None)
    rows = np.arange(5000)
    expected = sorted(rows[~same], key=lambda row: (distance[row], row))[:NUM_WORST]
    assert [pair.number for pair in accepts] == expected
    expected = sorted(rows[same], key=lambda row: (-distance[row], row))[:NUM_WORST]
    assert [pair.number for pair in rejects] == expected
    assert [pair.distance for pair in rejects] == distance[expected].tolist()
    few = worst_pairs(ScoredPairs(*_few(), np.full((8, 2), -1)), [], None)
    assert [[pair.number for pair in kind] for kind in few] == [[4, 5, 6, 7], [3, 2, 1, 0]]


def test_a_verdict_is_open_where_folds_differ_and_none_without_a_threshold():
    distance, same = np.array([1.0, 1.0, 1.25, 1.5]), np.array([True, False, True, False])
    assert verdicts(distance, same, [1.0]) == ["right", "wrong", "wrong", "right"]
    assert verdicts(distance, same, [1.0, 1.3]) == ["right", "wrong", "open", "right"]
    assert verdicts(distance, same, []) == [""] * 4
    assert accuracy_thresholds({"accuracy_threshold": 0.0}) == [0.0]
    folds = {"accuracy_threshold": None, "accuracy_fold_thresholds": [1.0, 1.2]}
    assert accuracy_thresholds(folds) == [1.0, 1.2]
    assert accuracy_thresholds({"accuracy_threshold": None}) == []


def test_pictures_are_small_and_named_and_errors_are_told(page, scored):
    accepts, _ = worst_pairs(scored["model"], [], None)
    data = [a["src"] for tag, a in page.tags if tag == "img"][:2]
    for side, uri in enumerate(data):
        image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        assert (image.format, image.size) == ("JPEG", (102, 128))
        original = Image.fromarray(photograph(2 * accepts[0].number + side, 200, 160))
        difference = np.subtract(image, original.resize(image.size), dtype=float)
        assert np.abs(difference).mean() < 6
        assert f"person_{accepts[0].number}/{side}.png" in page.text
    assert f"{accepts[0].distance:.4f} pair {accepts[0].number} error: accepted" in page.text
    assert "without pictures" not in page.text


def test_a_page_without_pictures_says_so(tmp_path, scored):
    found = read(tmp_path, scored)
    assert "This report was made without pictures" in found.text
    assert not [tag for tag, _ in found.tags if tag == "img"]


def test_digits_follow_the_interval():
    assert plain(0.98765, (0.981, 0.99)) == ("0.9877", "[0.9810, 0.9900]")
    assert share(0.5, (0.2, 0.8)) == ("50\xa0%", "[20, 80]")
    assert share(1e-5, (0.0, 4e-5)) == ("0.0010\xa0%", "[0.0000, 0.0040]")
    assert share(1.0, (1.0, 1.0)) == ("100.00\xa0%", "[100.00, 100.00]")
    assert share(None) == (NONE, "")


@pytest.mark.parametrize("write", [write_html, write_tensorboard])
def test_pairs_that_are_not_the_report_s_are_refused(tmp_path, scored, write):
    report = reports.make_report(scored)
    path = tmp_path / "out"
    with pytest.raises(ValueError, match="in their order: model, pixels. Received: pixels, model"):
        write(path, report, dict(reversed(scored.items())))
    with pytest.raises(ValueError, match="Received: none"):
        write(path, report, {})
    with pytest.raises(ValueError, match="format must be 1. Received: 2"):
        write(path, report | {"format": 2}, scored)
    with pytest.raises(ValueError, match="num_genuine is 200, but 100 are scored"):
        write(path, report, reports.scored_pairs(300))
    flipped = ScoredPairs(
        scored["pixels"].distance, scored["pixels"].same[::-1], scored["pixels"].person
    )
    with pytest.raises(ValueError, match="'pixels' must be those of the first system"):
        write(path, report, scored | {"pixels": flipped})
    report["systems"]["pixels"]["name"] = "facenet"
    with pytest.raises(ValueError, match="names of their own"):
        write(path, report, scored)
    assert not path.exists()


def test_tensorboard_shows_each_system_as_a_run(tmp_path, scored):
    report = reports.make_report(scored)
    report["systems"]["pixels"]["accuracy"] = None
    for folder in ("a", "b"):
        write_tensorboard(tmp_path / folder, report, scored)
    for key, system in report["systems"].items():
        (one,), (two,) = (list((tmp_path / folder / key).iterdir()) for folder in "ab")
        assert one.read_bytes() == two.read_bytes()
        assert (b"evaluation/accuracy" in one.read_bytes()) == (system["accuracy"] is not None)
        log = EventAccumulator(str(tmp_path / "a" / key)).Reload()
        points = {
            f"val_at_far_{name}": point["val"]
            for name, point in zip(("1e-1", "1e-2"), system["val_at_far"][:2], strict=True)
        }
        expected = {"auc": system["auc"], "eer": system["eer"], "accuracy": system["accuracy"]}
        found = {tag: log.Scalars(tag)[0].value for tag in log.Tags()["scalars"]}
        assert found == pytest.approx(
            {f"evaluation/{k}": v for k, v in (expected | points).items() if v is not None}
        )
        images = ["evaluation/distances"] + ["evaluation/roc"] * (key == "model")
        assert sorted(log.Tags()["images"]) == images


def test_plots_show_any_number_of_systems_and_need_no_operating_point(scored, monkeypatch):
    monkeypatch.setattr(plots, "_png", lambda axes: axes.get_legend_handles_labels()[1])
    pairs, plain_score = scored["model"], {"auc": 0.5, "operating_points": []}
    curve = metrics.roc_curve(pairs.genuine, pairs.impostor)
    names = [f"system {place}" for place in range(6)]
    scores = dict.fromkeys(names, plain_score)
    labels = plots.plot_roc(dict.fromkeys(names, curve), scores, "many")
    assert labels == [f"{name}: AUC 0.5000" for name in names]
    point = {"name": "far_5e-2", "threshold": 1.0, "val": 0.9, "far": 0.05}
    scores["system 0"] = plain_score | {"operating_points": [point]}
    labels = plots.plot_roc(dict.fromkeys(names, curve), scores, "many")
    assert labels[6:] == ["system 0 at FAR \u2264 5e-2"]
    _, _, label = plots.plot_distances(pairs.genuine, pairs.impostor, scores["system 0"], "some")
    assert label == "FAR \u2264 5e-2: 1.000 (VAL 90.0%, FAR 5.00%)"


@pytest.mark.slow
@pytest.mark.skipif(_BROWSER is None, reason="no Chromium here")
def test_a_browser_draws_every_plot_and_enlarges_it(tmp_path, written):
    drag = """<script>addEventListener("load", () => {
      for (const plot of document.querySelectorAll(".chart")) {
        const area = plot.querySelector(".nsewdrag"), box = area.getBoundingClientRect();
        const fire = (kind, at, target) => target.dispatchEvent(new MouseEvent(kind, {bubbles: true,
          clientX: box.left + at * box.width, clientY: box.top + at * box.height, buttons: 1}));
        const before = plot._fullLayout.xaxis.range.slice();
        fire("mousedown", 0.3, area); fire("mousemove", 0.4, document);
        fire("mousemove", 0.6, document); fire("mouseup", 0.6, document);
        const after = plot._fullLayout.xaxis.range;
        plot.dataset.enlarged = (after[1] - after[0]) / (before[1] - before[0]);
      }
    });</script></body>"""
    probe = tmp_path / "probe.html"
    probe.write_text(written.read_text().replace("</body>", drag))
    # A proxy that is not there: whatever asks for the network fails.
    command = [
        _BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--proxy-server=127.0.0.1:9",
    ]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=8000"]
    done = subprocess.run(
        [*command, "--dump-dom", probe.as_uri()], capture_output=True, text=True, timeout=60
    )
    enlarged = [float(share) for share in re.findall(r'data-enlarged="([\d.]+)"', done.stdout)]
    assert enlarged == pytest.approx([0.3] * 4, abs=0.01)
