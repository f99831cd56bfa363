"""A detector that a replication runs on in seconds."""

from tests.scoring.stand_ins import PlantedDetector


class Normalised(PlantedDetector):
    """One that says what its normalisation divides by."""

    std = (0.229, 0.224, 0.225)
