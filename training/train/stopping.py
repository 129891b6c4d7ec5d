"""Stops a run in time: on SIGTERM, SIGINT or when its time is up, after a checkpoint."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopCallback(TrainerCallback):
    """Asks the trainer to save and stop; `stopped` tells afterwards whether it did.

    Args:
        max_time_s: how long this process may train, saving included; None for no limit.
    """

    def __init__(self, max_time_s: float | None) -> None:
        self._deadline = None if max_time_s is None else time.monotonic() + max_time_s
        self._signalled = False
        self._save_began = 0.0
        self._save_s = 0.0
        self.stopped = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the signals for a while; a second one ends the process at once.

        One that comes too late for another step stops the run before what follows the steps.
        """
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        self.stopped = self.stopped or self._signalled

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Decide after each step, together with the other processes of a distributed run."""
        if self._agreed(self._wants_to_stop(), args.device):
            self.stopped = state.global_step < state.max_steps
            control.should_save = True
            control.should_training_stop = True
        self._save_began = time.monotonic()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Remember how long a save takes: it has to fit into the time that is left."""
        self._save_s = max(self._save_s, time.monotonic() - self._save_began)

    def _wants_to_stop(self) -> bool:
        out_of_time = (
            self._deadline is not None and time.monotonic() > self._deadline - 2 * self._save_s
        )
        return self._signalled or out_of_time

    def _agreed(self, wish: bool, device: torch.device) -> bool:
        """Stop all processes at the same step, or they wait for each other for ever."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return wish
        flag = torch.tensor(float(wish), device=device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return bool(flag.item())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True
        signal.signal(number, signal.SIG_DFL)


def stop_with_trainer(worker: int) -> None:
    """Let a data worker end on SIGTERM from its trainer only; to be called in the worker."""
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_trainer, daemon=True).start()


def _wait_for_trainer() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
