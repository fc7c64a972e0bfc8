"""Many files: the whole job is checked first, then done in batches, each as large as the credits reach. Each file is held and captured."""

import os
from dataclasses import dataclass
from typing import Any

from obol import Obol

customer = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
operator = Obol(os.environ["OBOL_URL"], os.environ["OBOL_OPERATOR_KEY"])


@dataclass(frozen=True)
class File:
    name: str
    minutes: int


files = [File(f"file-{index + 1}", 1 + index % 3) for index in range(40)]


def work(file: File) -> dict[str, Any]:
    return {"operation": "transcription", "quantities": {"minute": file.minutes}}


need = customer.estimate_job([work(file) for file in files]).requirements[0]
print(f"{len(files)} files need {need.max}, {need.shortfall} more than there is")

rest = list(files)
while (part := customer.affordable_batch(rest, size=8, work=work)).batch:
    for file in part.batch:
        hold = operator.holds.create(key=os.environ["OBOL_KEY"], **work(file))
        # The real work is here; it came to a little less than was held.
        operator.holds.capture(hold.id, quantities={"minute": file.minutes - 0.25})
    print(f"{len(part.batch)} files done")
    rest = list(part.rest)
print("All done" if not rest else f"{len(rest)} files wait for credits")
