"""A CUDA device as `engine.gpu` describes it."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from engine.backends.protocol import Launch


class CudaDevice:
    """One GPU with a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def current(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self.stream)

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def copy(self, target: Tensor, source: Tensor) -> None:
        with self.current():
            target.copy_(source, non_blocking=True)

    def run(self, launch: Launch) -> None:
        with self.current():
            launch()

    def capture(self, launch: Launch) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Other threads may ask this device for memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self.stream, capture_error_mode="thread_local"):
            launch()
        return graph

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(blocking=True)  # else waiting for it keeps a core busy
        event.record(self.stream)
        return event

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)

    def used(self) -> int:
        free, total = torch.cuda.mem_get_info(self.device)
        return total - free
