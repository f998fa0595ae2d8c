"""Processes that do something together, as torchrun would start them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import torch

import symsi

DIED = "died"


def together(world: int, work: Callable[..., Any], *given: Any) -> list[Any]:
    """Return what work(ranks, *given) gave in each of `world` processes: a value, an error's words, or DIED."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn, found, processes = multiprocessing.get_context("spawn"), [], []
    for rank in range(world):
        here, there = spawn.Pipe(duplex=False)
        processes.append(spawn.Process(target=_one, args=(there, port, rank, world, work, given)))
        processes[-1].start()
        there.close()
        found.append(here)
    answers = [_heard(pipe) for pipe in found]
    for process in processes:
        process.join()
    return answers


def _heard(pipe: Any) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return DIED


def _one(pipe: Any, port: int, rank: int, world: int, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    place = {"RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    try:
        with symsi.Ranks.join() as ranks:
            answer = work(ranks, *given)
    except symsi.SymsiError as error:
        answer = f"{type(error).__name__}: {error}"
    pipe.send(answer)
