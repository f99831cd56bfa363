"""Training learns, resumes to the same weights after a kill, and refuses what it cannot continue."""

import copy
import csv
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from rich.progress import Progress
from safetensors.torch import load_file

import detectors
from attribution_model.__main__ import app
from common.console import status
from common.errors import InputError
from data.frames import CLASS_NAMES
from data.images import encode_png
from data.source import open_frames
from detectors.loading.saving import NetworkDetector, save
from detectors.timm_network import TimmConfig
from detectors.training.adversarial import Adversarial
from detectors.training.classification import Classification, warm_cosine
from detectors.training.loop import Training, TrainingSettings, fastest_format, train
from detectors.training.models import MODELS, Wanted, model, new_detector
from detectors.training.progress import Budget
from detectors.training.recipe import TrainingBatch
from detectors.training.training_frames import Labelled, labelled
from tests.detectors.training.small_frames import write_small_frames

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Threads cost a network of this size more than they save."""
    torch.set_num_threads(1)


def start(seed: int = 0) -> NetworkDetector:
    torch.manual_seed(seed)
    return new_detector(MODELS["attribution"], Wanted("test_efficientnet", 32), None)


def frames(folder: Path, people: int = 4) -> Labelled:
    return labelled(open_frames(write_small_frames(folder, people), split="train"), start())[0]


def same_weights(first: Path, second: Path) -> None:
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    for key in one:
        assert torch.allclose(one[key].float(), other[key].float(), rtol=1e-5, atol=1e-6), key


def test_training_learns_the_classes(tmp_path: Path) -> None:
    chosen = frames(tmp_path, people=9)
    settings = TrainingSettings(epochs=8, batch_size=8)
    weights = train(start(), Classification(5e-3), chosen, None, tmp_path / "out", settings)
    detector = detectors.load(str(weights))
    assert detector.class_names == CLASS_NAMES
    unseen = open_frames(tmp_path / "index.csv", split="test")
    inputs = torch.stack([detector.prepare(frame.image) for frame in unseen])
    said = detectors.Queries(detector).logits(inputs).argmax(1).tolist()
    assert said == [frame.label for frame in unseen]
    rows = list(csv.DictReader((tmp_path / "out" / "history.csv").open()))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 9)]
    assert float(rows[-1]["train_loss"]) < 0.7 * float(rows[0]["train_loss"])


def test_the_epoch_with_the_lowest_validation_loss_is_kept(tmp_path: Path) -> None:
    chosen = frames(tmp_path)
    far_too_high = Classification(0.3)  # later epochs may well be worse
    train(start(), far_too_high, chosen, chosen, tmp_path / "out", TrainingSettings(epochs=3, batch_size=8))
    rows = list(csv.DictReader((tmp_path / "out" / "history.csv").open()))
    losses = [float(row["val_loss"]) for row in rows]
    best = torch.load(tmp_path / "out" / "best.ckpt", weights_only=True)
    assert best["epoch"] == losses.index(min(losses))
    kept = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(kept["conv_stem.weight"], best["state_dict"]["detector.network.conv_stem.weight"])


def test_same_seed_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    chosen = frames(tmp_path)
    made = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = TrainingSettings(epochs=1, batch_size=8, seed=seed)
        made[name] = load_file(train(start(), Classification(), chosen, None, tmp_path / name, settings))
    assert all(torch.equal(made["a"][key], made["b"][key]) for key in made["a"])
    assert any(not torch.equal(made["a"][key], made["c"][key]) for key in made["a"])


def test_killed_and_resumed_ends_in_the_same_weights(tmp_path: Path) -> None:
    index = write_small_frames(tmp_path, people=5)
    command = ["train", "--frames", str(index), "--backbone", "test_efficientnet", "--size", "32", "--epochs", "3"]
    command += ["--batch-size", "4", "--seed", "3", "--threads", "1", "--device", "cpu", "--out"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert status(app, [*command, str(whole)]) == 0
    killed = subprocess.Popen(
        [sys.executable, "-m", "attribution_model", *command, str(parts)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 120
    while not (parts / "last.ckpt").is_file() and killed.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL  # it was still at work
    assert not (parts / "model.safetensors").exists()
    assert torch.load(parts / "last.ckpt", weights_only=True)["epoch"] < 2
    assert status(app, [*command, str(parts)]) == 1  # without --resume
    assert status(app, [*command, str(parts), "--resume"]) == 0
    same_weights(whole / "model.safetensors", parts / "model.safetensors")
    columns = ("epoch", "learning_rate", "train_loss", "val_loss", "val_accuracy")
    histories = [
        [[row[column] for column in columns] for row in csv.DictReader((folder / "history.csv").open())]
        for folder in (whole, parts)
    ]
    assert histories[0] == histories[1]


def test_ctrl_c_is_an_interruption_and_not_an_exit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, handler = frames(tmp_path), signal.getsignal(signal.SIGINT)

    def interrupt(_module: Training, _batch: object, index: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(start(), Classification(), chosen, None, tmp_path / "out", TrainingSettings(epochs=1, batch_size=8))
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=1, batch_size=8)
    train(start(), Classification(), chosen, None, tmp_path / "out", settings)
    with pytest.raises(InputError, match=r"was made with learning_rate=0.001, not 0.002"):
        train(start(), Classification(2e-3), chosen, None, tmp_path / "out", settings, resume=True)
    with pytest.raises(InputError, match=r"was made with network=test_efficientnet, not test_resnet"):
        other = new_detector(MODELS["attribution"], Wanted("test_resnet", 32), None)
        train(other, Classification(), chosen, None, tmp_path / "out", settings, resume=True)
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "out" / "last.ckpt")
    with pytest.raises(InputError, match="was not made by this command"):
        train(start(), Classification(), chosen, None, tmp_path / "out", settings, resume=True)


def test_resuming_on_other_frames_is_refused(tmp_path: Path) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=1, batch_size=8)
    held = chosen.at(range(5))
    train(start(), Classification(), chosen, held, tmp_path / "out", settings)
    train(start(), Classification(), chosen, held, tmp_path / "out", settings, resume=True)
    turned = Labelled(chosen.frames, tuple(4 - label for label in chosen.labels))
    for other in (turned, chosen.at(range(1, len(chosen)))):
        with pytest.raises(InputError, match=r"was made with frames=\d+ frames \(\w+\), not \d+ frames"):
            train(start(), Classification(), other, held, tmp_path / "out", settings, resume=True)
    with pytest.raises(InputError, match=r"was made with validation=5 frames \(\w+\), not none"):
        train(start(), Classification(), chosen, None, tmp_path / "out", settings, resume=True)


def test_resuming_from_other_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        save(start(seed), tmp_path / name / "model.safetensors")
    command = ["train", "--frames", str(write_small_frames(tmp_path, 4)), "--split", "train", "--epochs", "1"]
    command += ["--batch-size", "8", "--device", "cpu", "--val-fraction", "0", "--out", str(tmp_path / "out")]
    first, second = (["--init", str(tmp_path / name / "model.safetensors")] for name in ("a", "b"))
    assert status(app, [*command, *first]) == 0
    for other in (second, ["--backbone", "test_efficientnet", "--size", "32"]):
        capsys.readouterr()
        assert status(app, [*command, *other, "--resume"]) == 1
        assert "last.ckpt was made with begun_from=" in capsys.readouterr().err.replace("\n", " ")
    assert status(app, [*command, *first, "--resume"]) == 0


def test_resuming_after_a_picture_was_replaced_is_refused(tmp_path: Path) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=1, batch_size=8)
    held = chosen.at(range(5))
    train(start(), Classification(), chosen, held, tmp_path / "out", settings)
    picture = tmp_path / chosen.frames.entries[-1].key
    before = picture.read_bytes()
    picture.write_bytes(encode_png(255 - chosen.frames[-1].image))
    again = labelled(open_frames(tmp_path / "index.csv", split="train"), start())[0]
    with pytest.raises(InputError, match=r"was made with pictures=\w+ \w+, not \w+ \w+; choose another"):
        train(start(), Classification(), again, held, tmp_path / "out", settings, resume=True)
    picture.write_bytes(before)
    again = labelled(open_frames(tmp_path / "index.csv", split="train"), start())[0]
    train(start(), Classification(), again, again.at(range(5)), tmp_path / "out", settings, resume=True)


def test_a_picture_that_is_replaced_during_a_training_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=2, batch_size=8)
    key, other, step = chosen.frames.entries[-1].key, encode_png(255 - chosen.frames[-1].image), Training.training_step

    def replacing(module: Training, batch: TrainingBatch, index: int) -> torch.Tensor:
        (tmp_path / key).write_bytes(other)
        return step(module, batch, index)

    monkeypatch.setattr(Training, "training_step", replacing)
    train(start(), Classification(), chosen, None, tmp_path / "out", settings)
    said = " ".join(capsys.readouterr().err.split())
    assert f"warning: left out: '{key}' in {tmp_path} changed since this was begun" in said


def test_the_best_epoch_of_another_training_is_not_taken(tmp_path: Path) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=1, batch_size=8)
    train(start(), Classification(), chosen, chosen.at(range(5)), tmp_path / "out", settings)
    (tmp_path / "out" / "last.ckpt").unlink()
    with pytest.raises(InputError, match=r"holds best.ckpt of a training that left no last.ckpt"):
        train(start(), Classification(), chosen, None, tmp_path / "out", settings)


def test_a_checkpoint_that_cannot_be_gone_on_from_is_one_line(tmp_path: Path) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=1, batch_size=8)
    train(start(), Classification(), chosen, None, tmp_path / "out", settings)
    last = tmp_path / "out" / "last.ckpt"
    whole = torch.load(last, weights_only=True)
    loops = copy.deepcopy(whole["loops"])
    loops["fit_loop"]["epoch_progress"]["current"] = dict.fromkeys(("ready", "started", "processed", "completed"), 90)
    for changed in ({"loops": loops}, {"optimizer_states": [{"state": {}, "param_groups": []}]}, {"state_dict": {}}):
        torch.save({**whole, **changed}, last)
        with pytest.raises(InputError, match=r"last.ckpt (cannot be continued|holds no state dict)") as caught:
            train(start(), Classification(), chosen, None, tmp_path / "out", settings, resume=True)
        assert "\n" not in str(caught.value)
    last.write_bytes(last.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"last.ckpt is damaged, .*\): this training cannot be continued; delete "):
        train(start(), Classification(), chosen, None, tmp_path / "out", settings, resume=True)


@pytest.mark.parametrize("validated", [True, False])
def test_a_training_that_diverges_says_so(tmp_path: Path, validated: bool) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=2, batch_size=8)
    held = chosen.at(range(5)) if validated else None
    with pytest.raises(InputError, match=r"the training diverged in epoch 1: its loss is (nan|inf) at step \d+"):
        train(start(), Classification(1e30, warmup=0.0), chosen, held, tmp_path / "out", settings)


def test_frames_that_cannot_be_read_end_no_training_unless_they_are_all(tmp_path: Path) -> None:
    chosen, settings = frames(tmp_path), TrainingSettings(epochs=1, batch_size=2)
    held = chosen.at([0, 1])
    keys = [entry.key for entry in chosen.frames.entries]
    for key in keys[3:]:
        (tmp_path / key).write_bytes(b"no picture")
    assert train(start(), Classification(), chosen, held, tmp_path / "some", TrainingSettings(epochs=1, batch_size=8))
    for key in keys[:1] + keys[2:]:
        (tmp_path / key).write_bytes(b"no picture")
    with pytest.raises(InputError, match="epoch 1 trained on nothing: no two frames of a batch could be read"):
        train(start(), Classification(), chosen, None, tmp_path / "none", settings)
    with pytest.raises(InputError, match="none of the frames to validate on could be read"):
        train(start(), Classification(), chosen, chosen.at([0]), tmp_path / "unseen", settings)


def test_weights_beyond_half_precision_are_stored_whole(tmp_path: Path) -> None:
    detector = start()
    with torch.no_grad():
        detector.network.classifier.weight[0, 0] = 1e5
    save(detector, tmp_path / "x.safetensors", half=True)
    stored = load_file(tmp_path / "x.safetensors")
    assert stored["classifier.weight"].dtype == torch.float32
    assert stored["classifier.bias"].dtype == torch.float16
    assert detectors.load(str(tmp_path / "x.safetensors")).class_names == CLASS_NAMES


def test_the_time_limit_ends_a_training_with_usable_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(Progress, "update", lambda _bar, _task, **fields: shown.append(fields))
    chosen = frames(tmp_path)
    began = time.monotonic()
    settings = TrainingSettings(epochs=100_000, batch_size=8, max_minutes=0.02)
    weights = train(start(), Classification(), chosen, None, tmp_path / "out", settings)
    assert time.monotonic() - began < 60
    assert detectors.load(str(weights)).class_names == CLASS_NAMES
    last = list(csv.DictReader((tmp_path / "out" / "history.csv").open()))[-1]
    assert float(last["learning_rate"]) < 0.1 * Classification.learning_rate
    taken = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)["global_step"]
    assert int(last["steps"]) == taken
    assert (shown[-1]["completed"], shown[-1]["total"]) == (taken, taken), "steps that were taken, no others"


def test_the_learning_rate_follows_steps_or_the_clock() -> None:
    budget = Budget(total_steps=100, max_minutes=1.0)
    assert budget.done(30) == 0.3
    budget.load_state_dict({"elapsed": 45.0})
    assert budget.done(30) == 0.75
    assert budget.done(90) == 0.9
    assert Budget(100, None).done(500) == 1.0
    assert warm_cosine(0.0, 0.2) == pytest.approx(0.04)
    assert warm_cosine(0.1, 0.2) == pytest.approx(0.52)
    assert warm_cosine(0.2, 0.2) == pytest.approx(1.0)
    assert warm_cosine(0.6, 0.2) == pytest.approx(0.5)
    assert warm_cosine(1.0, 0.2) == pytest.approx(0.0, abs=1e-12)
    assert warm_cosine(0.7, 0.0) == pytest.approx(0.5 * (1 + math.cos(0.7 * math.pi)))


def test_the_loss_is_weighted_smoothed_cross_entropy() -> None:
    weights = torch.tensor([0.5, 1.0, 2.0, 1.0, 1.0])
    recipe = Classification(label_smoothing=0.1)
    module = Training(start().eval(), recipe, weights, TrainingSettings(), Budget(1, None))
    images, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, 2, 2, 4])
    found = module.training_step(TrainingBatch(images, labels, []), 0)
    log_p = module.detector(images).log_softmax(1)
    picked = weights[labels] * -log_p[torch.arange(4), labels]
    spread = (weights * -log_p).mean(1)
    expected = (0.9 * picked + 0.1 * spread).sum() / weights[labels].sum()
    assert found is not None
    assert torch.allclose(found, expected, atol=1e-6)
    assert module.training_step(TrainingBatch(images[:1], labels[:1], []), 0) is None


@pytest.mark.parametrize(
    ("lipschitz", "device", "expected"),
    [
        (0.01, "cpu", torch.contiguous_format),
        (0.0, "cpu", torch.channels_last),
        (0.01, "cuda", torch.channels_last),
    ],
)
def test_only_a_penalty_on_a_cpu_is_not_channels_last(
    lipschitz: float, device: str, expected: torch.memory_format
) -> None:
    assert fastest_format(Adversarial(lipschitz=lipschitz), torch.device(device)) == expected
    assert fastest_format(Classification(), torch.device(device)) == torch.channels_last


def test_the_memory_format_changes_no_loss_and_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Adversarial, "attacked", lambda self, detector, batch: batch.images)  # its start is random
    recipe, found = Adversarial(lipschitz=1e-4), []
    batch = TrainingBatch(torch.rand(4, 3, 32, 32), torch.tensor([0, 2, 2, 4]), [])
    for memory_format in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)
        module = Training(
            start(), recipe, torch.ones(5), TrainingSettings(), Budget(1, None), memory_format=memory_format
        )
        weights = next(module.parameters())
        assert weights.is_contiguous(memory_format=memory_format)
        loss = module.training_step(batch, 0)
        assert loss is not None
        found.append((loss.detach(), *torch.autograd.grad(loss, weights)))
    (loss, gradient), other = found
    torch.testing.assert_close(other[0], loss, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other[1], gradient, rtol=1e-2, atol=1e-3 * float(gradient.abs().max()))


def test_starting_from_earlier_weights(tmp_path: Path) -> None:
    first, file = start(), str(tmp_path / "x.safetensors")
    save(first, file)
    second = new_detector(MODELS["attribution"], Wanted(size=48), file)
    assert isinstance(second.config, TimmConfig)
    assert (second.input_size, second.config.network, second.training) == (48, "test_efficientnet", True)
    assert all(parameter.requires_grad for parameter in second.parameters())
    state = first.network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in second.network.state_dict().items())


def test_starting_from_a_foreign_file_that_does_not_say_its_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    weights = timm.create_model("test_efficientnet", num_classes=2).state_dict()
    torch.save({"arch": "test_efficientnet", "state_dict": weights}, tmp_path / "x.pth")
    detector = new_detector(model("timm:test_efficientnet"), Wanted(), str(tmp_path / "x.pth"))
    assert all(torch.equal(value, weights[key]) for key, value in detector.network.state_dict().items())
    assert "does not say which output is Real; its last layer starts as that of Real, Fake" in capsys.readouterr().err
    weights = timm.create_model("test_efficientnet", num_classes=3).state_dict()
    torch.save({"arch": "test_efficientnet", "state_dict": weights}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="has 3 outputs and does not say which is Real"):
        new_detector(model("timm:test_efficientnet"), Wanted(), str(tmp_path / "x.pth"))


def test_starting_from_a_network_of_other_classes_keeps_its_backbone(tmp_path: Path) -> None:
    first, file = start(), str(tmp_path / "x.safetensors")
    save(first, file)
    second = new_detector(MODELS["sbi"], Wanted(), file)
    assert (second.class_names, second.input_size, second.real) == (("Real", "Fake"), 32, 0)
    state, found = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(found[key], state[key]) for key in state if not key.startswith("classifier."))
    assert found["classifier.weight"].shape[0] == 2
    with pytest.raises(InputError, match=r"does not have the weights of test_resnet \(such as"):
        new_detector(MODELS["sbi"], Wanted("test_resnet"), file)
    with pytest.raises(InputError, match=r"does not have the weights of test_resnet \(such as"):
        new_detector(model("timm:test_resnet"), Wanted(), file)  # the model's own name is not overruled


@pytest.mark.parametrize("values", [{"epochs": 0}, {"batch_size": 1}, {"max_minutes": -1.0}, {"max_minutes": math.nan}])
def test_unusable_settings(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        TrainingSettings(**values)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="learning rate"):
        Classification(learning_rate=0.0)


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """Without batch norms, whose statistics are each process's own, the mean gradient is that of the whole batch."""
    index, weights = write_small_frames(tmp_path, people=5), {}  # 20 frames to train on: 5 whole batches
    kept = ["--model", "xception", "--backbone", "test_convnext", "--size", "32", "--frames", str(index)]
    kept += ["--epochs", "2", "--batch-size", "4", "--device", "cpu", "--threads", "1", "--val-fraction", "0"]
    for name, more in {"start": ["--learning-rate", "1e-12"], "one": [], "two": ["--devices", "2"]}.items():
        call = [sys.executable, "-m", "detectors", "train", *kept, *more, "--out", str(tmp_path / name)]
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("weights:") == 1, "only the first process says anything"
        assert "no validation: --val-fraction 0 holds no people out" in done.stdout
        weights[name] = load_file(tmp_path / name / "model.safetensors")
    rows = [list(csv.DictReader((tmp_path / name / "history.csv").open())) for name in ("one", "two")]
    assert [len(each) for each in rows] == [2, 2]

    def distance(first: str, second: str) -> float:
        pairs = [(weights[first][key] - weights[second][key]).double().square().sum() for key in weights[first]]
        return float(torch.stack(pairs).sum().sqrt())

    assert distance("start", "one") > 1e-3
    assert distance("one", "two") < 0.02 * distance("start", "one")


@pytest.mark.parametrize(("settings", "said"), [((5, 2), "cannot be shared by 2 devices"), ((4, 4), "2 or more")])
def test_batches_that_devices_cannot_share(settings: tuple[int, int], said: str) -> None:
    batch_size, devices = settings
    with pytest.raises(InputError, match=said):
        TrainingSettings(batch_size=batch_size, devices=devices)
