"""Schedulers are saved with the reference that their config names, and loaded with the one beside their config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from diffusers import SchedulerMixin

from symsi.adapters.diffusers.driver import Driver
from symsi.sampling.reference import save

__all__ = ["Saved"]

_FILE = "reference.safetensors"


class Saved(SchedulerMixin):
    """What `save_pretrained` and `from_pretrained` add to diffusers': the file of the reference."""

    config: Any
    _driver: Driver

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write the config into a folder, and `reference.safetensors` beside it if it names the file of one."""
        reference = self._driver.method.reference
        if reference is not None and isinstance(self.config.reference, str):
            folder = Path(save_directory)
            folder.mkdir(parents=True, exist_ok=True)
            save(reference, folder / _FILE, force=True)
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str] | None = None, subfolder: str | None = None,
        return_unused_kwargs: bool = False, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Read a scheduler from a folder or the Hub; in a folder, the reference beside the config is the config's."""
        beside = Path(pretrained_model_name_or_path or "", subfolder or "", _FILE)
        if pretrained_model_name_or_path is not None and beside.is_file():
            kwargs.setdefault("reference", str(beside))
        return super().from_pretrained(pretrained_model_name_or_path, subfolder, return_unused_kwargs, **kwargs)
