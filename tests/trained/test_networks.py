"""Trained networks are those of their cards, and their cards those of published records."""

import hashlib
import json
import shutil

import pytest
import torch

from posebook.lifting.evaluate import evaluate_real
from posebook.trained import networks
from posebook.trained.networks import FOLDER, LARGEST, ROWS, keep, load, untrained

THERE = [name for name in ROWS if (FOLDER / f"{name}.json").is_file()]


def test_every_row_has_weights():
    assert THERE == [*ROWS]


@pytest.mark.parametrize("name", THERE)
def test_the_card_is_that_of_a_published_record(name, root):
    models, card = load(name)
    record = (root / card["record"]).read_bytes()
    published = json.loads(record)
    assert hashlib.sha256(record).hexdigest() == card["record_sha256"]
    assert card["published"] == published["metrics"] and card["seed"] == published["seed"] == 0
    assert card["record_code_digest"] == published["code_digest"]
    assert card["data_digest"] == published["data_digest"] and card["limits"]
    # Other arithmetic, other last digits; another network would be off by much more.
    main = "mean_error_px" if ROWS[name][1] == "video" else "p_mpjpe_mm"
    assert card["measured"][main] == pytest.approx(published["metrics"][main], rel=0.02)
    assert not any(model.training for model in models)
    for path in FOLDER.glob(f"{name}*.safetensors"):
        assert path.stat().st_size < LARGEST


def test_the_weights_have_the_scores_of_their_card():
    (model,), card = load("consensus-augmented-flip")
    for name, value in evaluate_real(model).items():
        assert value == pytest.approx(card["measured"][name], rel=1e-3)


def test_what_is_kept_is_what_is_loaded(tmp_path):
    (model,) = untrained("trans-reproj", "smoke", {})
    keep("trans-reproj", (model,), {"profile": "smoke", "parameters": {}}, tmp_path)
    (again,), _ = load("trans-reproj", tmp_path)
    x = torch.rand(3, 17, 2)
    torch.testing.assert_close(again.lift(x), model.eval().lift(x), rtol=0, atol=0)


def test_an_encoder_is_kept_in_half_precision(tmp_path):
    both = untrained("res50-tce-bc", "smoke", {})
    keep("res50-tce-bc", both, {"profile": "smoke", "parameters": {}}, tmp_path)
    (encoder, model), _ = load("res50-tce-bc", tmp_path)
    for old, new in zip(both, (encoder, model)):
        for key, value in new.state_dict().items():
            torch.testing.assert_close(value, old.state_dict()[key], rtol=1e-3, atol=1e-4)


def test_other_files_are_refused_in_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no trained weights 'resnet'; there are consensus-augm"):
        load("resnet")
    with pytest.raises(FileNotFoundError, match="trans-reproj.json is missing; restore it with"):
        load("trans-reproj", tmp_path)
    for path in FOLDER.glob("trans-reproj.*"):
        shutil.copy(path, tmp_path)
    raw = bytearray((tmp_path / "trans-reproj.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "trans-reproj.safetensors").write_bytes(raw)
    with pytest.raises(ValueError, match="is damaged, or not the file of its card; restore it"):
        load("trans-reproj", tmp_path)
    (model,) = untrained("trans-reproj", "smoke", {})
    keep("trans-reproj", (model,), {"profile": "laptop", "parameters": {}}, tmp_path)
    with pytest.raises(ValueError, match="does not fit the network that today's code builds"):
        load("trans-reproj", tmp_path)
    monkeypatch.setattr(networks, "LARGEST", 1000)
    with pytest.raises(ValueError, match="would have .* bytes, and 1000 are the most"):
        keep("trans-reproj", (model,), {}, tmp_path)
