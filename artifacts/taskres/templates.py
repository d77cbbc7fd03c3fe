"""Prompt templates: the public trainer's, by its name of the data set."""

from collections.abc import Sequence

from artifacts.errors import OfflineError

PHOTO = "a photo of a {}."
IMAGENET = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
    PHOTO,
)
"""Seven chosen by CLIP's authors, and the plain one."""
TEMPLATES: dict[str, tuple[str, ...]] = {
    "default": (PHOTO,),
    "imagenet": IMAGENET,
    "caltech101": (PHOTO,),
    "oxford_pets": ("a photo of a {}, a type of pet.",),
    "stanford_cars": (PHOTO,),
    "oxford_flowers": ("a photo of a {}, a type of flower.",),
    "food101": ("a photo of {}, a type of food.",),
    "fgvc_aircraft": ("a photo of a {}, a type of aircraft.",),
    "sun397": (PHOTO,),
    "dtd": ("{} texture.",),
    "eurosat": ("a centered satellite photo of {}.",),
    "ucf101": ("a photo of a person doing {}.",),
}


def filled(templates: Sequence[str], name: str, keep_underscores: bool = False) -> list[str]:
    """A class name in each template; underscores become spaces, which the public trainer leaves."""
    for template in templates:
        if template.count("{}") != 1:
            raise OfflineError(f"a template holds one {{}} for the class name, not {template!r}")
    spoken = name if keep_underscores else name.replace("_", " ")
    return [template.replace("{}", spoken) for template in templates]
