"""The CUDA side of `cuda_graphs`: streams, page-locked memory, captures."""

from collections.abc import Callable

import torch
from torch import Tensor

from engine.backends.protocol import Launch
from engine.cuda_graphs import Event, Stream
from engine.network import Buffers, Network, buffers


class CudaStream:
    """A stream other than the default one, which cannot be captured."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        with torch.cuda.stream(self.stream):
            return torch.empty(shape, dtype=dtype, device=self.stream.device)

    def copy(self, target: Tensor, source: Tensor) -> None:
        with torch.cuda.stream(self.stream):
            target.copy_(source, non_blocking=True)
        for tensor in (target, source):
            if tensor.is_cuda:  # the allocator must not give it to others before this is done
                tensor.record_stream(self.stream)

    def run(self, work: Callable[[], None]) -> None:
        with torch.cuda.stream(self.stream):
            work()

    def record(self) -> Event:
        event: Event = self.stream.record_event()
        return event

    def wait(self, event: Event) -> None:
        assert isinstance(event, torch.cuda.Event)
        self.stream.wait_event(event)


class CudaDevice:
    """One GPU and the engine's bank on it."""

    def __init__(self, device: torch.device, bank: tuple[Tensor, ...]) -> None:
        self.device, self.bank = device, bank
        self._pool = torch.cuda.graph_pool_handle()

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def stream(self) -> CudaStream:
        return CudaStream(self.device)

    def buffers(self, network: Network, bucket: int) -> Buffers:
        return buffers(network, bucket, self.bank, self.device)

    def capture(self, launch: Launch, stream: Stream) -> Callable[[], None]:
        assert isinstance(stream, CudaStream)
        torch.cuda.synchronize(self.device)
        stream.run(launch)  # libraries load and choose their kernels now, not in the capture
        stream.stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads may ask this device for memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=stream.stream, capture_error_mode="thread_local"):
            launch()
        return graph.replay

    def used(self) -> int:
        free, total = torch.cuda.mem_get_info(self.device)
        return total - free
