"""A mean face shape, for faces whose landmarks nobody has found."""

import numpy as np

# Thousandths of the face detector's box: x to the right, y down, iBUG order. The shape is the average of 232 demo
# faces (data.demo), made symmetric, in the boxes that HaarFaces finds in them. Demo heads are longer than people's, so
# it is drawn together by 0.935 about the eyes; that factor and the eyes' height of 0.388 were read off fourteen crops
# of the seven FaceForensics++ clips that the tests use: eyes at 0.388, tip of the nose at 0.61, mouth at 0.80, chin at
# 1.07 on average. OpenCV's cascade for eyes finds them at 0.389 on average in 21 frames of the same clips.
_SHAPE = (
    (99, 432), (113, 514), (125, 595), (144, 680), (174, 770), (217, 870), (288, 958), (384, 1033), (500, 1072),
    (616, 1033), (712, 958), (783, 870), (826, 770), (856, 680), (875, 595), (887, 514), (901, 432),
    (182, 253), (237, 224), (295, 217), (354, 229), (413, 256),
    (587, 256), (646, 229), (705, 217), (763, 224), (818, 253),
    (500, 424), (500, 482), (500, 541), (500, 601), (418, 631), (457, 643), (500, 654), (543, 643), (582, 631),
    (199, 386), (269, 350), (347, 352), (413, 402), (342, 420), (264, 418),
    (587, 402), (653, 352), (731, 350), (801, 386), (736, 418), (658, 420),
    (344, 796), (403, 776), (465, 763), (500, 773), (535, 763), (597, 776), (656, 796),
    (596, 853), (535, 875), (500, 881), (465, 875), (404, 853),
    (369, 801), (436, 798), (500, 801), (564, 798), (631, 801), (564, 826), (500, 835), (436, 826),
)  # fmt: skip


def mean_face(side: float, margin: float = 1.3) -> np.ndarray:
    """The mean face in the middle of a square crop, (68, 2) float64 (x, y) in pixels, iBUG order.

    `side` is the crop's in pixels and `margin` the crop's side in sizes of the face box it was made from, as in
    `python -m data preprocess --margin`. A pixel's centre has whole coordinates. With a margin below about 1.2 the
    chin lies outside the crop.
    """
    if not (side > 0 and margin > 0):
        raise ValueError(f"expected a positive side and margin, got {side} and {margin}")
    return (side - 1) / 2 + (np.array(_SHAPE) / 1000 - 0.5) * (side / margin)
