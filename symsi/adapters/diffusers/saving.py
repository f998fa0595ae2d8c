"""Schedulers are saved with the reference and the plan of their config, and loaded with those beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import SchedulerMixin

from symsi.adapters.diffusers.driver import Driver
from symsi.adapters.diffusers.planned import Planned
from symsi.errors import SchedulerError
from symsi.files import read_data, trouble
from symsi.models.reference import save

__all__ = ["Saved"]

_FILES = {"reference": "reference.safetensors", "plan": "solver.json"}
_OF_WEIGHTS = ("variant", "torch_dtype", "dtype", "use_safetensors", "low_cpu_mem_usage", "device_map")


class Saved(SchedulerMixin):
    """What `save_pretrained` and `from_pretrained` add to diffusers': the files of the reference and the plan."""

    config: Any
    _driver: Driver

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write the config into a folder, with `reference.safetensors` if it names one, `solver.json` for its plan."""
        folder, method = Path(save_directory), self._driver.method
        reference, plan = (folder / name for name in _FILES.values())
        kept = set()
        if isinstance(method, Planned):
            folder.mkdir(parents=True, exist_ok=True)
            kept.add(method.given.save(plan, force=True))
        elif method.reference is not None and isinstance(self.config.reference, str):
            folder.mkdir(parents=True, exist_ok=True)
            kept.add(save(method.reference, reference, force=True))
        for beside in {reference, plan} - kept:
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
        """Read a scheduler from a folder or the Hub; a reference and a plan of the config are those beside it, if any.

        What is said of weights (`torch_dtype`, `variant`, ...) is left out, as pipelines say it of every part.
        """
        settings = {name: value for name, value in kwargs.items() if name not in _OF_WEIGHTS}
        folder = Path(pretrained_model_name_or_path or "", subfolder or "")
        config = folder / cls.config_name
        named = _settings(config) if config.is_file() else {}
        for name, file in _FILES.items():
            if isinstance(named.get(name), (str, dict)) and (folder / file).is_file():
                settings.setdefault(name, str(folder / file))
        return super().from_pretrained(pretrained_model_name_or_path, subfolder, return_unused_kwargs, **settings)


def _settings(config: Path) -> Mapping[str, Any]:
    """Return the settings in a scheduler's config. Raises SchedulerError for a file that holds none."""
    try:
        found = read_data(config)
    except (OSError, ValueError) as error:
        raise SchedulerError(f"cannot read the config {config}: {trouble(error)}.") from None
    if not isinstance(found, Mapping):
        raise SchedulerError(
            f"{config} is no scheduler's config: it holds {type(found).__name__}, not settings by name."
        )
    return found
