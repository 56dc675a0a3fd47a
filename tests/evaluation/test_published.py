"""The published figures, checked by what the papers and their tables say about them as a whole.

The sums were made from the tables of the papers by rows and by columns, so that a wrong digit shows in two of them.
"""

import pytest

from flamingo_jax.evaluation import published
from flamingo_jax.evaluation.benchmarks import catalog
from flamingo_jax.evaluation.published.results import FINE_TUNED, NAMES, RANDOM, RICES, SHOTS


def state_of_the_art(name: str) -> float | None:
    """The fine-tuned state of the art that the paper compares itself with."""
    found = {(one.model, one.how): one.fixed for one in published.figures(name)}
    return found.get(("state of the art", FINE_TUNED))


CLASSIFICATION = ("imagenet", "kinetics700")
SIXTEEN = [name for name in NAMES if name not in CLASSIFICATION]

FLAMINGO_BY_SHOTS = {
    "Flamingo-3B": (669.2, 683.0, 715.8, 745.6, 715.1),
    "Flamingo-9B": (699.3, 735.0, 772.6, 796.7, 752.2),
    "Flamingo-80B": (751.1, 812.5, 852.4, 871.4, 828.5),
}
FLAMINGO_BY_BENCHMARK = {  # over the shots: 3B, 9B, 80B
    "okvqa": (220.6, 245.8, 281.1),
    "vqav2": (271.6, 285.9, 319.4),
    "coco": (443.0, 480.0, 520.6),
    "msvdqa": (180.3, 198.9, 223.5),
    "vatex": (260.9, 262.3, 291.2),
    "vizwiz": (190.1, 190.1, 214.2),
    "flickr30k": (348.9, 353.0, 374.8),
    "msrvttqa": (94.5, 112.8, 129.9),
    "ivqa": (180.3, 195.1, 220.1),
    "youcook2": (338.3, 355.3, 386.3),
    "star": (203.2, 211.6, 207.7),
    "visdial": (188.5, 200.9, 220.8),
    "textvqa": (157.6, 165.1, 184.3),
    "nextqa": (118.9, 129.5, 156.2),
    "hatefulmemes": (273.6, 311.6, 325.0),
    "rareact": (58.4, 57.9, 60.8),
}
OPENFLAMINGO = ("OpenFlamingo-3B", "OpenFlamingo-3B (I)", "OpenFlamingo-4B", "OpenFlamingo-4B (I)", "OpenFlamingo-9B")
OPENFLAMINGO_BY_BENCHMARK = {
    "coco": (420.9, 431.6, 438.2, 459.0, 463.1),
    "flickr30k": (288.4, 298.5, 283.9, 283.6, 312.3),
    "vqav2": (230.2, 226.3, 230.9, 235.7, 269.9),
    "okvqa": (151.5, 152.1, 154.6, 166.0, 204.1),
    "textvqa": (135.2, 137.9, 100.5, 119.8, 132.6),
    "vizwiz": (158.7, 157.8, 121.9, 139.4, 186.6),
    "hatefulmemes": (252.5, 246.8, 265.7, 278.3, 268.0),
}
IDEFICS_BY_BENCHMARK = {  # 80B, 9B
    "coco": (549.6, 433.7),
    "flickr30k": (365.2, 277.7),
    "vqav2": (319.7, 277.6),
    "okvqa": (267.3, 229.5),
    "textvqa": (174.0, 137.2),
    "vizwiz": (220.8, 199.1),
    "visdial": (145.2, 144.2),
    "hatefulmemes": (286.9, 253.5),
}
BY_SHOTS = {  # over the benchmarks of each paper
    ("OpenFlamingo-3B", RANDOM): (299.1, 315.2, 333.6, 339.1, 350.4),
    ("OpenFlamingo-3B (I)", RANDOM): (295.0, 323.4, 337.8, 344.5, 350.3),
    ("OpenFlamingo-4B", RANDOM): (298.2, 330.6, 334.1, 322.0, 310.8),
    ("OpenFlamingo-4B (I)", RANDOM): (311.1, 339.2, 347.6, 340.3, 343.6),
    ("OpenFlamingo-9B", RANDOM): (332.8, 366.0, 377.4, 382.3, 378.1),
    ("IDEFICS-80B", RANDOM): (427.1, 481.0, 498.7, 461.3, 460.6),
    ("IDEFICS-9B", RANDOM): (324.5, 416.6, 429.6, 390.2, 391.6),
    ("OpenFlamingo-9B", RICES): (337.3, 387.7, 409.6, 420.7, 426.2),
}


def values(name, model, how=RANDOM):
    (found,) = [one for one in published.figures(name) if (one.model, one.how) == (model, how)]
    return found.values


def by_shots(model, names, how=RANDOM):
    return [sum(values(name, model, how).get(count, 0) for name in names) for count in SHOTS]


@pytest.mark.parametrize("name", SIXTEEN)
def test_flamingo_by_benchmark(name):
    sums = [sum(values(name, model).values()) for model in FLAMINGO_BY_SHOTS]
    assert sums == pytest.approx(FLAMINGO_BY_BENCHMARK[name], abs=1e-6)


@pytest.mark.parametrize("model", FLAMINGO_BY_SHOTS)
def test_flamingo_by_shots(model):
    assert by_shots(model, SIXTEEN) == pytest.approx(FLAMINGO_BY_SHOTS[model], abs=1e-6)


@pytest.mark.parametrize("name", OPENFLAMINGO_BY_BENCHMARK)
def test_openflamingo_by_benchmark(name):
    sums = [sum(values(name, model).values()) for model in OPENFLAMINGO]
    assert sums == pytest.approx(OPENFLAMINGO_BY_BENCHMARK[name], abs=1e-6)


@pytest.mark.parametrize("name", IDEFICS_BY_BENCHMARK)
def test_idefics_by_benchmark(name):
    sums = [sum(values(name, model).values()) for model in ("IDEFICS-80B", "IDEFICS-9B")]
    assert sums == pytest.approx(IDEFICS_BY_BENCHMARK[name], abs=1e-6)


@pytest.mark.parametrize("model, how", BY_SHOTS)
def test_the_open_models_by_shots(model, how):
    names = IDEFICS_BY_BENCHMARK if model.startswith("IDEFICS") else OPENFLAMINGO_BY_BENCHMARK
    assert by_shots(model, names, how) == pytest.approx(BY_SHOTS[model, how], abs=1e-6)


def test_visdial_ends_at_16_shots():
    for model in FLAMINGO_BY_SHOTS:
        assert sorted(values("visdial", model)) == [0, 4, 8, 16]
    assert [values("visdial", model)[16] for model in FLAMINGO_BY_SHOTS] == [47.5, 51.3, 56.8]  # appendix D.1
    for model in ("IDEFICS-80B", "IDEFICS-9B"):
        assert sorted(values("visdial", model)) == [0, 4, 8]


def test_rareact_is_zero_shot_only():
    assert all(set(one.values) == {0} for one in published.figures("rareact"))


def test_with_32_shots_the_largest_beats_fine_tuned_models_on_six_benchmarks():
    best = {name: max(values(name, "Flamingo-80B").values()) for name in SIXTEEN if name != "rareact"}
    beaten = {name for name, value in best.items() if value > state_of_the_art(name)}
    at_32 = {name for name in beaten if values(name, "Flamingo-80B")[32] > state_of_the_art(name)}
    assert at_32 == {"okvqa", "msvdqa", "flickr30k", "ivqa", "star", "nextqa"}


@pytest.mark.parametrize(
    "coco, okvqa, vqav2, msvdqa, vatex, overall",
    [  # rows of the ablation table (version 2, tables 3 and 10), with the overall that it prints
        (86.5, 42.1, 55.8, 36.3, 53.4, 70.7),
        (84.2, 43.0, 53.9, 34.5, 46.0, 67.3),
        (54.1, 36.5, 52.7, 31.4, 23.5, 53.4),
        (76.1, 39.8, 52.1, 33.2, 40.8, 62.9),
        (81.3, 34.4, 47.1, 30.9, 53.9, 62.8),
        (74.8, 31.5, 45.6, 26.9, 50.1, 57.8),
        (85.0, 41.6, 55.2, 36.7, 50.6, 69.6),
    ],
)
def test_the_ablations_overall_divides_by_the_fine_tuned_state_of_the_art(coco, okvqa, vqav2, msvdqa, vatex, overall):
    shares = {"coco": coco, "okvqa": okvqa, "vqav2": vqav2, "msvdqa": msvdqa, "vatex": vatex}
    mean = sum(value / state_of_the_art(name) for name, value in shares.items()) / len(shares)
    assert 100 * mean == pytest.approx(overall, abs=0.2)


def test_the_other_states_of_the_art():
    assert sum(state_of_the_art(name) for name in SIXTEEN if name != "rareact") == pytest.approx(1018.5)
    assert state_of_the_art("rareact") is None
    assert state_of_the_art("hatefulmemes") == 79.1
    assert [state_of_the_art(name) for name in CLASSIFICATION] == [90.9, 89.0]


def test_openflamingo_reaches_80_to_89_percent_of_flamingo():
    """As its paper's abstract says of the averages."""
    for model in OPENFLAMINGO:
        peer = "Flamingo-9B" if "9B" in model else "Flamingo-3B"
        shares = [
            values(name, model)[count] / values(name, peer)[count]
            for name in OPENFLAMINGO_BY_BENCHMARK
            for count in SHOTS
        ]
        assert 0.80 < sum(shares) / len(shares) < 0.90


def test_fine_tuning_made_five_new_states_of_the_art():
    """On VQAv2, VATEX, VizWiz, MSRVTT-QA and HatefulMemes (section 4.2)."""
    beaten = set()
    for name in SIXTEEN:
        for one in published.figures(name):
            if one.how == FINE_TUNED and one.model == "Flamingo-80B" and one.fixed > state_of_the_art(name):
                beaten.add(name)
    # TextVQA's 57.1 is above the 54.7 on validation, but on the test set another model reached 73.7.
    assert beaten - {"textvqa"} == {"vqav2", "vatex", "vizwiz", "msrvttqa", "hatefulmemes"}


def test_classification():
    for name, sums in {"imagenet": (141.9, 142.9, 363.3, 223.9), "kinetics700": (112.8, 117.4, 302.0, 182.7)}.items():
        few_shot = [one for one in published.figures(name) if one.model.startswith("Flamingo-") and one.values]
        one_a_class = {one.model: one.values for one in few_shot if one.how == "RICES, 1 example a class"}
        assert sum(one_a_class["Flamingo-3B"].values()) == pytest.approx(sums[0])
        assert sum(one_a_class["Flamingo-9B"].values()) == pytest.approx(sums[1])
        largest = [one for one in few_shot if one.model == "Flamingo-80B"]
        assert sum(sum(one.values.values()) for one in largest) == pytest.approx(sums[2])
        five = [one.values[16] for one in few_shot if one.how == "RICES, 5 examples a class"]
        assert sum(five) == pytest.approx(sums[3])
        # All stay below the contrastive encoder's zero-shot accuracy on ImageNet, as the paper says.
        (encoder,) = [one.fixed for one in published.figures(name) if one.model == "Flamingo's contrastive encoder"]
        assert (max(max(one.values.values()) for one in few_shot) < encoder) == (name == "imagenet")


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_source(name):
    found = published.figures(name)
    assert found
    for one in found:
        assert one.source and one.model and one.how
        assert bool(one.values) != (one.fixed is not None)
        assert all(0 < value < 160 for value in [*one.values.values(), *filter(None, [one.fixed])])


def test_names_are_read_kindly_and_unknown_ones_have_nothing():
    assert published.figures("MSVD-QA") is published.figures("msvdqa")
    assert published.figures("embedded_web") == ()


def test_every_benchmark_has_published_figures():
    ours = {name for name, each in catalog.BENCHMARKS.items() if each.write or name.startswith("embedded_web")}
    assert {name for name in catalog.BENCHMARKS if not published.figures(name)} == ours


def test_the_text_has_ones_own_rows_on_top_and_every_source():
    text = published.table(
        "vqav2",
        {4: (50.04, 49.5, 51.0), 2: (7.0, None, None)},
        title="VQAv2",
        others={"with RICES": {4: (52.0, None, None)}},
    )
    lines = text.splitlines()
    assert lines[0] == "VQAv2"
    assert lines[1].split() == ["shots", "0", "2", "4", "8", "16", "32"]
    assert lines[2].split() == ["this", "run", "-", "7.0", "50.0", "-", "-", "-"]
    assert lines[3].split() == ["95%", "interval", "49.5", "to", "51.0"]
    assert lines[4].split() == ["with", "RICES", "-", "-", "52.0", "-", "-", "-"]
    ends = {len(line) for line in lines[1:3] + lines[4:16]}
    assert len(ends) == 1  # the columns are aligned
    assert "49.5 to 51.0" in lines[3] and lines[3].index("51.0") == lines[2].index("50.0")
    for one in published.figures("vqav2"):
        assert one.source in text
        assert one.note in text
    assert max(map(len, lines)) <= 120


def test_the_text_of_an_unknown_benchmark_says_so():
    lines = published.table("my_own", {0: (1.0, None, None), 4: (None, None, None)}, title="My own").splitlines()
    assert lines[0] == "My own"
    assert lines[-1] == "nothing published is known of this benchmark"
    assert lines[2].split() == ["this", "run", "1.0", "-"]
