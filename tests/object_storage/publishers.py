"""Four processes that publish without end into one store, each killed at random points and started anew.

    python -m tests.object_storage.publishers s3://bucket/prefix FOLDER_OF_ARTIFACTS PUBLISHES

Prints one JSON object: publishes that ended well, those told that another was faster, processes killed.
"""

import json
import multiprocessing
import random
import sys
import time
from contextlib import suppress
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from artifacts.store.address import StoreAddress
from artifacts.store.base import PublishedMeanwhile
from artifacts.store.open import open_store

PROCESSES = 4
LONGEST_LIFE_SECONDS = 1.5
# Not one thread of the library's runs in this process, and nothing need be loaded twice.
_FORK = multiprocessing.get_context("fork")


def publish_forever(
    url: str, paths: list[Path], seed: float, done: "Synchronized[int]", told: "Synchronized[int]"
) -> None:
    """Counts without a lock: one who is killed would hold it for ever."""
    draw, store = random.Random(seed), open_store(url)
    while True:
        try:
            store.publish(draw.choice(paths))
        except PublishedMeanwhile:
            told.get_obj().value += 1
        else:
            done.get_obj().value += 1


def publish_until(stop: Event, address: StoreAddress, paths: list[Path], seed: int, done: "Synchronized[int]") -> None:
    """One publisher that is not killed."""
    draw, store = random.Random(seed), open_store(address)
    while not stop.is_set():
        with suppress(PublishedMeanwhile):
            store.publish(draw.choice(paths))
            done.get_obj().value += 1


def main(url: str, folder: Path, publishes: int) -> dict[str, int]:
    draw, paths = random.Random(0), sorted(folder.iterdir())
    counts = [(_FORK.Value("l", 0), _FORK.Value("l", 0)) for _ in range(PROCESSES)]
    killed, lives = 0, []
    while sum(done.value for done, _ in counts) < publishes:
        lives = [
            _FORK.Process(target=publish_forever, args=(url, paths, draw.random(), *count), daemon=True)
            for count in counts
        ]
        for life in lives:
            life.start()
        while any(life.is_alive() for life in lives):
            time.sleep(draw.uniform(0, 2 * LONGEST_LIFE_SECONDS / PROCESSES))
            victim = draw.choice([life for life in lives if life.is_alive()])
            victim.kill()
            victim.join()
            killed += 1
    return {
        "published": sum(done.value for done, _ in counts),
        "told": sum(told.value for _, told in counts),
        "killed": killed,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
