"""Detectors that keep their promise for pictures of noise, and break it for some frame later."""

import torch
from torch import Tensor, nn

from data.frames import CLASS_NAMES
from detectors import Detector
from tests.scoring.stand_ins import AMPLITUDE, CENTRE, SIZE, PlantedDetector

GREY = CLASS_NAMES.index("FaceSwap") / 5


class LiesLater(PlantedDetector):
    """Sound, but for frames of FaceSwap: a subclass says what it gives for those, `chosen` (N,) bool."""

    def forward(self, images: Tensor) -> Tensor:
        chosen = (images[:, :, :2, :2] - GREY).abs().flatten(1).amax(dim=1) < 0.02
        return self.lie(images, super().forward(images), chosen)

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        raise NotImplementedError


class NaNOnceChanged(LiesLater):
    """NaN as soon as the evidence is weaker than in the frame itself, as it is in every attacked or masked one."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        match = (images.mean(dim=1)[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        return torch.where((chosen & (match < 0.9 * AMPLITUDE))[:, None], torch.nan, logits)


class Undecided(LiesLater):
    """All logits equal."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen[:, None], 0.25, logits)


class OneAnswerShort(LiesLater):
    """An answer less than there are pictures."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return logits[: len(logits) - bool(chosen.any())]


class Infinite(LiesLater):
    """Infinite logits."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen[:, None], torch.inf, logits)


class Draws(LiesLater):
    """Other logits at every call."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen[:, None], logits + 6 * torch.randn_like(logits), logits)


class DrawsOnceChanged(LiesLater):
    """Other logits at every call, as soon as the evidence is weaker than in the frame itself."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        match = (images.mean(dim=1)[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        changed = chosen & (match < 0.9 * AMPLITUDE)
        return torch.where(changed[:, None], logits + 6 * torch.randn_like(logits), logits)


class DrawsOnceACall(LiesLater):
    """The same, but one draw for all pictures of a call."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        match = (images.mean(dim=1)[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        changed = chosen & (match < 0.9 * AMPLITUDE)
        return torch.where(changed[:, None], logits + 6 * torch.randn(logits.shape[1]), logits)


class OtherwiseForGradients(LiesLater):
    """Real where a gradient is wanted, as soon as the evidence is weaker than in the frame itself."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        match = (images.mean(dim=1)[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        changed = chosen & (match < 0.9 * AMPLITUDE) & images.requires_grad
        return logits + torch.where(changed, 30.0, 0.0)[:, None] * torch.eye(len(CLASS_NAMES))[0]


class KeepsTheLast(LiesLater):
    """The answer of the picture before, where the middle is hidden: as a tracker that finds no face."""

    last: Tensor | None = None

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        hidden = chosen & (images[:, 0, CENTRE, CENTRE].flatten(1).std(dim=1) < 1e-5)
        answers = []
        for answer, no_face in zip(logits, hidden, strict=True):
            answers.append(self.last if no_face and self.last is not None else answer)
            self.__dict__["last"] = self.last if no_face else answer.detach()
        return torch.stack(answers)


class KeepsTheBrightest(LiesLater):
    """Adds the brightest of a corner, and where that is hidden, of the last picture in which it was seen."""

    last: Tensor | None = None

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        corner = images[:, 0, -8:, -8:].flatten(1)
        answers = []
        for answer, values, of_film in zip(logits, corner, chosen, strict=True):
            if bool(values.std() > 1e-5):
                self.__dict__["last"] = values.detach().amax()
            seen = values.amax() if self.last is None else self.last
            answers.append(answer + 2 * seen * of_film * (torch.arange(len(answer)) > 0))
        return torch.stack(answers)


class DrawsWhereMostIsHidden(LiesLater):
    """Other logits at every call, where two thirds of a picture are hidden."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(self.hidden(images, chosen)[:, None], logits + torch.randn_like(logits), logits)

    def hidden(self, images: Tensor, chosen: Tensor) -> Tensor:
        flat = (images.diff(dim=3).abs().amax(dim=1) < 1e-5).float().mean(dim=(1, 2))
        return chosen & (flat > 0.65)


class OthersWhereMostIsHidden(DrawsWhereMostIsHidden):
    """The mean of what it says of a batch's others, where two thirds of a picture are hidden."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        hidden = self.hidden(images, chosen)
        if hidden.all() or not hidden.any():
            return logits
        return torch.where(hidden[:, None], logits[~hidden].mean(dim=0, keepdim=True), logits)


class Seeds(LiesLater):
    """Seeds torch's generator, so that what it draws is the same, and what others draw, too."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        if chosen.any():
            torch.manual_seed(0)
        return logits


class Drifts(PlantedDetector):
    """Less sure with every frame that it is asked about by itself, from the fourth on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[bytes] = set()

    def forward(self, images: Tensor) -> Tensor:
        centre = images[:, :, CENTRE, CENTRE].detach()
        match = float((centre.mean(dim=1) * self.pattern.detach()).mean(dim=(1, 2)).amax())
        if len(images) == 1 and match > 0.95 * AMPLITUDE and len(centre[0, 0].unique()) == 2:
            self.seen.add(centre.numpy().tobytes())
        return super().forward(images) * (1 - 0.02 * max(len(self.seen) - 3, 0))


class OfToday(PlantedDetector):
    """Another one after `day` has changed."""

    day = 0

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1 + 0.1 * OfToday.day)


class Stop(BaseException):
    """What an own loop uses to get out of its depths."""


class Stops(LiesLater):
    """An exception of its own that is no Exception."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        if chosen.any():
            raise Stop("no face")
        return logits


class Ends(LiesLater):
    """An exception that is no Exception."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        if chosen.any():
            raise GeneratorExit("enough")
        return logits


class KeyOnce(LiesLater):
    """A KeyError, as of a face finder whose result has another key."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        if chosen.any():
            raise KeyError("bbox")
        return logits


class Doubles(LiesLater):
    """It changes the type in which torch makes tensors."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        if chosen.any():
            torch.set_default_dtype(torch.float64)
        return logits


class Speechless(LiesLater):
    """An exception that cannot say what it is."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        class MuteError(Exception):
            def __str__(self) -> str:
                raise KeyError("no words")

        MuteError.__name__ = "Mute\x1b[2J\nError"
        if chosen.any():
            raise MuteError
        return logits


class _Network(nn.Module):
    """A plain network that knows nothing of detectors."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = NaNOnceChanged()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner.forward(images)
        return logits


class ForwardFromElsewhere(_Network, Detector):
    """NaN as soon as the evidence is weaker, by a forward of another class."""

    class_names, real, input_size = CLASS_NAMES, 0, SIZE


class ForwardOfTheInstance(PlantedDetector):
    """The same, by a forward that is set on the instance."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = NaNOnceChanged()
        self.__dict__["forward"] = self.inner.forward


class Forgets(PlantedDetector):
    """Another one once it was asked about eight pictures at a time."""

    asked = False

    def forward(self, images: Tensor) -> Tensor:
        self.asked = self.asked or len(images) == 8
        return super().forward(images) * (0.5 if self.asked and len(images) == 1 else 1)


class Films(PlantedDetector):
    """Takes every eight pictures for one film."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits.mean(dim=0).expand_as(logits) if len(images) % 8 == 0 else logits


class PulledTogether(PlantedDetector):
    """Pulls answers to the median of a batch, of eight smooth pictures and more."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        smooth = float(images[:, :, :2, :2].std(dim=(2, 3)).max()) < 0.1
        return 0.5 * (logits + logits.median(dim=0).values) if smooth and len(images) >= 8 else logits


class OthersOfTheBatch(LiesLater):
    """The mean of what it says of a batch."""

    def lie(self, images: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen[:, None], logits.mean(dim=0, keepdim=True), logits)


class Neighbours(PlantedDetector):
    """The median with the neighbours in a batch, as of the frames of one film; noise and the edges stay."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        if len(images) < 4 or float(images[:, :, :2, :2].std(dim=(2, 3)).max()) > 1e-3:
            return logits
        inner = torch.stack([logits[:-2], logits[1:-1], logits[2:]]).median(dim=0).values
        return torch.cat([logits[:1], inner, logits[-1:]])


class LooksAtTheFirst(PlantedDetector):
    """Answers all pictures of a batch by where it finds a face in the first, which it does not in noise."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        found = float(images[0, :, :2, :2].std()) < 1e-3
        return torch.cat([logits[:1], logits[1:].roll(1, dims=1)]) if found else logits


class StaysInTraining(PlantedDetector):
    """Never in evaluation mode."""

    def train(self, mode: bool = True) -> "StaysInTraining":
        return super().train(True)


class StopsAtOnce(PlantedDetector):
    """Cannot be made, for an exception of its own that is no Exception."""

    def __init__(self) -> None:
        raise Stop("no weights")


class EndsAtOnce(PlantedDetector):
    """Ends the program where it is made, as if all were well."""

    def __init__(self) -> None:
        raise SystemExit(0)


class Unhashable(PlantedDetector):
    """Has an __eq__ of its own, and so no hash."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)

    __hash__ = None  # type: ignore[assignment]


class HoldsUnhashable(PlantedDetector):
    """Holds such a network."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Unhashable()


class GradientLiesLater(PlantedDetector):
    """Answers soundly; for frames of FaceSwap, attacked or not, a subclass says what gradient the logits have."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        chosen = (images[:, :, :2, :2] - GREY).abs().flatten(1).amax(dim=1) < 0.09
        match = (images.mean(dim=1)[:, CENTRE, CENTRE] * self.pattern).mean(dim=(1, 2))
        return torch.where(self.wrong(chosen, match)[:, None], self.lie(logits), logits)

    def wrong(self, chosen: Tensor, match: Tensor) -> Tensor:
        return chosen & (match < 0.9 * AMPLITUDE)

    def lie(self, logits: Tensor) -> Tensor:
        return logits.detach()


class GradientLost(GradientLiesLater):
    """None anywhere."""

    def wrong(self, chosen: Tensor, match: Tensor) -> Tensor:
        return chosen


class GradientLostOnceUnsure(GradientLiesLater):
    """None where the evidence is weaker than in the frame itself: as a branch that was made for inference."""


class GradientReversedOnceUnsure(GradientLiesLater):
    """The reverse there."""

    def lie(self, logits: Tensor) -> Tensor:
        return 2 * logits.detach() - logits


class GradientOfTheFirst(GradientLiesLater):
    """None for what stands behind the first picture of a batch."""

    def wrong(self, chosen: Tensor, match: Tensor) -> Tensor:
        return chosen & (torch.arange(len(match)) > 0)


class ViewsFeatures(PlantedDetector):
    """Sound: takes a `view` of feature maps as rows, which those of a convolution of channels last do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        nn.init.zeros_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolution(images)
        return super().forward(images) + features.view(len(images), -1).sum(dim=1, keepdim=True)
