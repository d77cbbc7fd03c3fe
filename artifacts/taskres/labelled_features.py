"""Features with classes: few shots of a data set to learn from and to choose on, and its test pictures."""

from dataclasses import dataclass

import torch
from torch import Tensor

from artifacts.progress import Progress
from artifacts.taskres.crops import Crop, middle, random_crop
from artifacts.taskres.features import FeatureCache
from artifacts.taskres.labelled import Labelled
from artifacts.taskres.shots import few_shots


@dataclass(frozen=True)
class LabelledFeatures:
    """`features` float32 [N,D] and `labels` int64 [N]."""

    features: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class FewShots:
    """A draw: `passes` are views of the same training pictures in the same order; `validation` is to choose on."""

    passes: tuple[LabelledFeatures, ...]
    validation: LabelledFeatures

    @property
    def train(self) -> LabelledFeatures:
        """Every view of every training picture."""
        return LabelledFeatures(torch.cat([own.features for own in self.passes]), self.labels.repeat(len(self.passes)))

    @property
    def labels(self) -> Tensor:
        """Of the training pictures, int64 [N]."""
        return self.passes[0].labels


class FeatureSource:
    """A data set's features, computed where not yet known. `views`: augmented passes; 0: the middle alone."""

    def __init__(self, cache: FeatureCache, splits: dict[str, Labelled], progress: Progress, views: int = 0) -> None:
        self.cache, self.splits, self.progress = cache, splits, progress
        self.crops = [random_crop(number) for number in range(views)] or [middle]

    def draw(self, shots: int, seed: int) -> FewShots:
        """So many pictures a class; validation pictures are from their own split or are left by the draw."""
        train, held = self.splits["train"], self.splits.get("val")
        drawn = few_shots(train.labels, held.labels if held else None, shots, seed)
        shown = train.rows(drawn.train)
        validation = (held or train).rows(drawn.validation)
        return FewShots(tuple(self._features(shown, crop) for crop in self.crops), self._features(validation, middle))

    def test(self) -> LabelledFeatures:
        """All test pictures, as they are served."""
        return self._features(self.splits["test"], middle)

    def _features(self, pictures: Labelled, crop: Crop) -> LabelledFeatures:
        if not len(pictures):
            return LabelledFeatures(torch.empty(0, self.cache.tower.width), torch.empty(0, dtype=torch.int64))
        features = self.cache.features(pictures.files, self.progress, crop)
        return LabelledFeatures(features, torch.tensor(pictures.labels))
