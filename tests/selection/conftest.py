"""Photos without pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face


@pytest.fixture(scope="session")
def photo() -> Callable[..., AnnotatedImage]:
    """``photo("a/b.jpg", {"identity": 3}, {}, root="/data", ...)``: a face per mapping."""

    def make(path: str, *faces: dict[str, Any], **fields: Any) -> AnnotatedImage:
        return AnnotatedImage(
            path, [Face(np.zeros((2, 2)), attributes=given) for given in faces], **fields
        )

    return make
