"""The published divisions of a frame, on images whose parts are known."""

import numpy as np
import torch
from lime.wrappers.scikit_image import SegmentationAlgorithm
from skimage.segmentation import slic

from tests.xai.helpers import photo
from xai.published_segments import NormalisedSegments, Quickshift
from xai.segments import Segments

IMAGE = photo(64)
MEAN, STD = (0.485, 0.456, 0.406), (0.1, 0.5, 0.9)  # deviations so unlike that colours change visibly


def test_quickshift_is_what_the_lime_package_does_by_default() -> None:
    theirs = SegmentationAlgorithm("quickshift", kernel_size=4, max_dist=200, ratio=0.2, random_seed=0)
    pixels = IMAGE.permute(1, 2, 0).double().numpy()
    found, expected = Quickshift()(IMAGE), theirs(pixels)
    assert len(np.unique(found)) == found.max() + 1 == len(np.unique(expected))
    assert len(set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))) == found.max() + 1


def test_normalised_segments_are_those_of_the_normalised_image() -> None:
    own = Segments(count=12)
    pixels = (IMAGE.permute(1, 2, 0).numpy() - np.array(MEAN)) / np.array(STD)
    expected = slic(pixels.astype(np.float32), n_segments=12, start_label=0, sigma=0, channel_axis=-1)
    found = NormalisedSegments(own, MEAN, STD)(IMAGE)
    assert (found == np.unique(expected, return_inverse=True)[1].reshape(found.shape)).mean() > 0.99
    assert (found != own(IMAGE)).any()


def test_a_normalisation_that_only_stretches_changes_nothing() -> None:
    """SLIC stretches its input to [0, 1], so one mean and one deviation for all channels do nothing."""
    stretched = IMAGE.clone()
    stretched[:, 0, 0], stretched[:, 0, 1] = 0.0, 1.0  # so that the stretch is the identity
    found = NormalisedSegments(Segments(count=12), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(stretched)
    assert (found == Segments(count=12)(stretched)).mean() > 0.99


def test_an_image_of_one_segment_is_one() -> None:
    assert (Quickshift()(torch.full((3, 8, 8), 0.5)) == 0).all()
