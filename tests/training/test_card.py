"""What a card can do with a step: off it is nothing, on it leaves what is exact in float32."""

import os
from dataclasses import replace

import pytest
import torch
from torch import nn

from posebook import factorization, lifting, video
from posebook.experiments import catalogue
from posebook.experiments.run import outcome_of
from posebook.factorization.dictionary import Dictionary
from posebook.lifting import network as lifting_network
from posebook.training import card, loop
from posebook.training.card import Options, applied, check, signed, using
from posebook.video import heads, tce

ROWS = ("table-3.1/reproj-adv", "table-4.2/c3dpo", "table-2.3/res50-tce-bc")
STEPS = 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Base networks and features, for all rows."""
    return tmp_path_factory.mktemp("card")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Rows of a few steps."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    base = replace(video.rows.PROFILES["smoke"].base, steps=STEPS)
    more = {lifting: {}, factorization: {"dictionary_steps": STEPS}, video: {"base": base}}
    for module, fields in more.items():
        profile = replace(module.rows.PROFILES["smoke"], steps=STEPS, evaluations=1, **fields)
        monkeypatch.setitem(module.rows.PROFILES, "smoke", profile)
    near = replace(video.rows.VARIANTS["res50-tce-bc"], N=2, also=())
    monkeypatch.setitem(video.rows.VARIANTS, "res50-tce-bc", near)


def outcome(name, cache, folder=None, **options):
    row = catalogue.find(name)
    data = catalogue.CHAPTERS[row.chapter].DATASETS[0]
    mine = {"cache": cache} if row.chapter == "video" else {}
    with using(Options(**options)):
        return outcome_of(row, "smoke", 0, data, folder=folder, **mine)


def weights(outcome):
    return {
        f"{k}.{name}": value
        for k, network in enumerate(outcome.networks)
        for name, value in network.state_dict().items()
    }


def assert_same(found, expected):
    assert found.curves == expected.curves
    for name, value in weights(expected).items():
        assert torch.equal(weights(found)[name], value), name


def assert_near(found, expected, share):
    points = zip(found.curves["loss"], expected.curves["loss"], strict=True)
    for (_, mine), (_, exact) in points:
        assert mine == pytest.approx(exact, rel=share)


# ---------------------------------------------------------------- one network


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.fixture
def seen(network):
    """The types and the layouts in which the last layer gets its input."""
    found = []
    network[-1].register_forward_hook(
        lambda layer, x, _: found.append(
            (x[0].dtype, layer.weight.dtype, x[0].is_contiguous(memory_format=torch.channels_last))
        )
    )
    return found


def test_without_options_nothing_is_touched(network, seen, monkeypatch):
    # Setting it loads PyTorch's compiler, which must not happen while a signal ends the training.
    monkeypatch.delattr(torch, "use_deterministic_algorithms")
    with applied(network, [network]):
        assert "forward" not in vars(network)
        network(torch.rand(2, 3, 8, 8))
    assert seen == [(torch.float32, torch.float32, False)] and signed() == {}


def test_bf16_is_inside_and_float32_at_both_ends(network, seen):
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        expected = network(x)
    with using(Options(bf16=True)), applied(network, [network]):
        found = network(x)
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0.05)
    found.sum().backward()
    assert {weight.grad.dtype for weight in network.parameters()} == {torch.float32}
    assert seen[-1][:2] == (torch.bfloat16, torch.float32)


def test_what_is_exact_stays_so(network, seen):
    with using(Options(bf16=True)), applied(network, exact=[network]):
        network(torch.rand(2, 3, 8, 8))
    assert seen[-1][0] == torch.float32


def test_in_evaluation_the_options_sleep(network, seen):
    network.eval()
    with using(Options(bf16=True)), applied(network, [network]):
        network(torch.rand(2, 3, 8, 8))
    assert seen[-1][0] == torch.float32


def test_channels_last_lasts_as_long_as_the_training(network, seen):
    layout = [weight.stride() for weight in network.parameters()]
    with using(Options(channels_last=True)), applied(network, [network]):
        network(torch.rand(2, 3, 8, 8))
        assert [weight.stride() for weight in network.parameters()] != layout
    assert seen[-1][2]
    assert [weight.stride() for weight in network.parameters()] == layout


def test_all_is_as_it_was_even_after_an_error(network):
    options = Options(bf16=True, channels_last=True, deterministic=True)
    with pytest.raises(ZeroDivisionError), using(options), applied(network, [network]):
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert signed() == {"card": ["bf16", "channels_last", "deterministic"]}
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()
    assert "forward" not in vars(network) and signed() == {}
    assert network[0].weight.is_contiguous()


def test_graphs_are_recorded_on_a_card_alone(network, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda f, options: asked.append(options) or f)
    with using(Options(compile=True)), applied(network, [network[0]], [network[1]]):
        network(torch.rand(2, 3, 8, 8))
    assert asked == [{}, {}]
    monkeypatch.setattr(torch.nn.Parameter, "is_cuda", True, raising=False)
    with using(Options(compile=True)), applied(network, [network[0]]):
        pass
    assert asked[2]["triton.cudagraphs"]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("options", "where", "said"),
    [
        ({"channels_last": True}, ("cpu", False, False), "only networks of chapter 2 see any"),
        ({"deterministic": True}, ("cpu", True, False), "adds up in one order anyway"),
        ({"compile": True}, ("cpu", True, True), r"needs a C\+\+ compiler \(nowhere\)"),
        ({"compile": True}, ("cuda", True, True), r"needs the package triton"),
    ],
)
def test_what_has_no_effect_or_cannot_be_had_is_refused(options, where, said, monkeypatch):
    monkeypatch.setenv("CXX", "nowhere")
    monkeypatch.setattr(card, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=said) as problem:
        check(Options(**options), *where)
    assert str(problem.value).count(".") == 0, "one sentence"


def test_what_has_an_effect_is_not_refused(monkeypatch):
    monkeypatch.setenv("CXX", "python")
    check(Options(True, True, True, True), "cpu", pictures=True, shifts=True)
    check(Options(bf16=True), "cpu", pictures=False, shifts=False)
    check(Options(deterministic=True), "cuda", pictures=False, shifts=False)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(card.processes, "count", lambda: 2)
    check(Options(), "cpu", pictures=True, shifts=True)
    with pytest.raises(ValueError, match="--bf16 --channels-last is for one process"):
        check(Options(bf16=True, channels_last=True), "cpu", pictures=True, shifts=True)


# ---------------------------------------------------------------- rows of every chapter


@pytest.fixture(scope="module")
def plain(cache):
    """Rows without any option."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = outcome(name, cache)
        return made[name]

    return find


EXACT = {
    "table-3.1/reproj-adv": [
        (lifting_network, "condition"), (lifting_network, "root_position"),
        (lifting.train, "global_pose"), (lifting.losses, "reprojection"),
    ],
    "table-4.2/c3dpo": [
        (factorization.network, "nearest_rotation"), (Dictionary, "forward"),
        (factorization.losses, "frobenius"),
    ],
    "table-2.3/res50-tce-bc": [
        (tce.TCE, "input_gates"), (tce.TCE, "step"), (tce, "deform"),
        (heads.video_losses, "heatmap"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_bf16_leaves_geometry_losses_and_the_recursion_in_float32(name, plain, cache, monkeypatch):
    expected = plain(name)
    exact, layers, training = {}, set(), []

    def watch(home, function):
        real = getattr(home, function)

        def run(*args, **named):
            out = real(*args, **named)
            if training:
                values = [*args, *named.values(), *(out if isinstance(out, tuple) else [out])]
                types = {
                    x.dtype for x in values if isinstance(x, torch.Tensor) and x.is_floating_point()
                }
                exact.setdefault(function, set()).update(types)
                assert not torch.is_autocast_enabled("cpu")
            return out

        monkeypatch.setattr(home, function, run)

    for place in EXACT[name]:
        watch(*place)
    backward = torch.Tensor.backward

    def watched_backward(value):
        exact.setdefault("loss", set()).add(value.dtype)
        return backward(value)

    monkeypatch.setattr(torch.Tensor, "backward", watched_backward)

    def note(part, _, output):
        if part.training:
            layers.add(output.dtype)

    def fit(model, *args, fit=loop.fit, **more):
        training.append(model)
        hooks = [
            part.register_forward_hook(note)
            for part in model.modules()
            if isinstance(part, nn.Linear | nn.ConvTranspose2d)
        ]
        out = fit(model, *args, **more)
        training.clear()
        for hook in hooks:
            hook.remove()
        return out

    chapter = catalogue.CHAPTERS[catalogue.find(name).chapter].__name__.rsplit(".", 1)[0]
    monkeypatch.setattr(f"{chapter}.train.fit", fit)
    found = outcome(name, cache, bf16=True)
    assert exact == dict.fromkeys([*(where for _, where in EXACT[name]), "loss"], {torch.float32})
    assert layers == {torch.bfloat16}, "its networks did compute so"
    assert found.curves != expected.curves
    assert_near(found, expected, 0.02)
    assert {value.dtype for value in weights(found).values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("name", ROWS)
def test_compiled_networks_give_the_same(name, plain, cache, monkeypatch):
    """As the compiler reads them; to write machine code of that takes it minutes."""
    compiled, real = [], torch.compile

    def compile_(function, options):
        compiled.append(function.__self__)
        return real(function, backend="eager")

    monkeypatch.setattr(torch, "compile", compile_)
    found = outcome(name, cache, compile=True)
    assert len(compiled) >= 2
    assert_near(found, plain(name), 1e-4)


def test_channels_last_and_gathered_cells_give_the_same(plain, cache):
    expected = plain(ROWS[2])
    for option in ("channels_last", "deterministic"):
        found = outcome(ROWS[2], cache, **{option: True})
        assert_near(found, expected, 1e-4)


def test_deterministic_twice_is_the_same(cache, monkeypatch):
    cells, real = [], tce._gathered
    monkeypatch.setattr(tce, "_gathered", lambda *args: cells.append(1) or real(*args))
    first = outcome(ROWS[2], cache, deterministic=True)
    assert cells
    assert_same(outcome(ROWS[2], cache, deterministic=True), first)


@pytest.mark.parametrize("name", ROWS)
def test_the_checkpoint_of_other_options_is_refused(name, cache, tmp_path):
    outcome(name, cache, tmp_path, bf16=True)
    with pytest.raises(ValueError, match="belongs to a run with other parameters"):
        outcome(name, cache, tmp_path)


def test_a_base_network_of_other_options_is_another(plain, cache):
    plain(ROWS[2])
    kept = len(list((cache / "base").iterdir()))
    outcome(ROWS[2], cache, bf16=True, channels_last=True)
    assert len(list((cache / "base").iterdir())) == kept + 1
