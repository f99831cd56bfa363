"""One frame as an index knows it."""

from dataclasses import dataclass

from data.frames import family_of, video_of


@dataclass(frozen=True)
class Entry:
    """One frame as the index knows it, without its pixels.

    Attributes:
        key: the image's relative path with forward slashes; it names the frame everywhere.
        fake: whether the frame is manipulated (`bin_label`), or None where unknown (a plain folder of pictures).
        label: its `mc_label` (0 to 4), or None where it has none.
        split: "train", "val", "test" or any other name, or None.
        mask: the relative path of the picture of its manipulated pixels, or None.
        source: for a manipulated frame, the relative path of the picture that shows the same moment and the same
            square of its original, or None.
        stated_family: the family where the index states it; None where labels and path say it.
        stated_video: the video where the index states it; None where the path says it.
        faces: how many faces its video shows, where its label may belong to another of them than the one that is shown;
            None where there is no such doubt.
    """

    key: str
    fake: bool | None
    label: int | None
    split: str | None = None
    mask: str | None = None
    source: str | None = None
    stated_family: str | None = None
    stated_video: str | None = None
    faces: int | None = None

    @property
    def family(self) -> str | None:
        """ "Real", the manipulation the frame was made with, or None where unknown."""
        return self.stated_family or family_of(self.key, self.fake, self.label)

    @property
    def video(self) -> str:
        """The video the frame is from: as stated, else its folder, or its own key where it stands alone."""
        return self.stated_video or video_of(self.key)
