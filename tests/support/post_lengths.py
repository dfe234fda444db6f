"""The answers of the platforms' own libraries: how long posts are, and which links they have.

`scripts/checks/post_lengths.js` and `post_lengths.rb` have made the file, and describe how.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

FIXTURE: Final = Path(__file__).parents[1] / "jobs" / "writing" / "fixtures" / "post_lengths.json"
CASES: Final[Sequence[Mapping[str, Any]]] = json.loads(FIXTURE.read_text(encoding="utf-8"))
