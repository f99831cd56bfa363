"""The benchmark's peers compute what ours do: the same number of forwards, and maps that agree."""

import pytest
import torch

import xai
from benchmarks.peers import PEERS, PeerScene, agreement, contest
from tests.xai.helpers import SmallNetwork, photo

SAMPLES = 1056  # 16 designs of SOBOL's 66 forwards
LEAST = {"lime": 0.8, "shap": 0.9, "RISE, loop": 0.6, "SOBOL, loop": 0.6}


@pytest.mark.parametrize("name", PEERS)
def test_both_sides_do_the_same_work(name: str) -> None:
    network, image = SmallNetwork(64), photo(64)
    numbers = {"samples": SAMPLES}
    settings = xai.build_settings(
        "published",
        {"LIME": numbers, "RISE": numbers, "SHAP": {"evaluations": SAMPLES}, "SOBOL": {"designs": 16}},
    )
    frame = xai.FrameExplanations(network, image, 2, settings)
    scene = PeerScene(network, image, frame.segments, 2, SAMPLES)
    ours, theirs = contest(frame, scene, name, rounds=2)
    assert len(ours.seconds) == len(theirs.seconds) == 2
    assert ours.forwards == pytest.approx(SAMPLES, abs=2)
    assert theirs.forwards == pytest.approx(SAMPLES, abs=2)
    if name in LEAST:  # captum's lasso makes every weight of so flat a score zero
        assert agreement(ours.saliency, theirs.saliency, frame.segments) > LEAST[name]


def test_agreement_is_spearmans_over_segments() -> None:
    segments = torch.arange(16).view(4, 4).repeat_interleave(2, 0).numpy()
    rising = segments.astype(float)
    assert agreement(rising, rising**3, segments) == pytest.approx(1.0)
    assert agreement(rising, -rising, segments) == pytest.approx(-1.0)
