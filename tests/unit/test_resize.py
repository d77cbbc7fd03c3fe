"""artifacts.pictures.resize: on the calling thread alone, whatever the picture's memory looks like."""

import os
import subprocess
import sys

# In a process of its own: others' tests have woken torch's threads before.
COUNT_THREADS = """
import os, numpy as np
from artifacts.pictures.resize import resized
pixels = np.zeros((300, 300, 3), np.uint8)
pictures = pixels[1:112, :111], pixels[:112, :111], pixels[:256, :256].copy()
before = len(os.listdir("/proc/self/task"))
for picture in pictures:
    assert resized(picture, 112).shape == (112, 112, 3)
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_no_other_thread_is_woken() -> None:
    command = [sys.executable, "-c", COUNT_THREADS]
    counted = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "4"}, capture_output=True, text=True, check=True
    )
    assert counted.stdout.strip() == "0"
