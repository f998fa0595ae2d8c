"""Schedulers are saved with the reference that their config names, and loaded with the one beside their config."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from diffusers import SchedulerMixin

from symsi.adapters.diffusers.driver import Driver
from symsi.models.reference import save

__all__ = ["Saved"]

_FILE = "reference.safetensors"
_OF_WEIGHTS = ("variant", "torch_dtype", "dtype", "use_safetensors", "low_cpu_mem_usage", "device_map")


class Saved(SchedulerMixin):
    """What `save_pretrained` and `from_pretrained` add to diffusers': the file of the reference."""

    config: Any
    _driver: Driver

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write the config into a folder, and `reference.safetensors` beside it if it names the file of one."""
        reference, beside = self._driver.method.reference, Path(save_directory, _FILE)
        if reference is not None and isinstance(self.config.reference, str):
            beside.parent.mkdir(parents=True, exist_ok=True)
            save(reference, beside, force=True)
        else:
            beside.unlink(missing_ok=True)  # of what was saved here before
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None = None,
        subfolder: str | None = None,
        return_unused_kwargs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Read a scheduler from a folder or the Hub; a reference that the config names is the one beside it, if any.

        What is said of weights (`torch_dtype`, `variant`, ...) is left out, as pipelines say it of every part.
        """
        settings = {name: value for name, value in kwargs.items() if name not in _OF_WEIGHTS}
        folder = Path(pretrained_model_name_or_path or "", subfolder or "")
        config, beside = folder / cls.config_name, folder / _FILE
        if beside.is_file() and config.is_file():
            named = json.loads(config.read_text(encoding="utf-8")).get("reference")
            if isinstance(named, str):
                settings.setdefault("reference", str(beside))
        return super().from_pretrained(pretrained_model_name_or_path, subfolder, return_unused_kwargs, **settings)
