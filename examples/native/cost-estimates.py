"""What work would cost, in credits and in money, before it is done. A quote pins the prices."""

import os
from decimal import Decimal

from obol import Obol

obol = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
#: What a credit costs here: a tenth of a cent.
DOLLARS_PER_CREDIT = Decimal("0.001")

for work in (
    {"operation": "voice_cloning_training"},
    {"operation": "voice_cloning_generation", "quantities": {"second": 120}},
    {"operation": "transcription", "quantities": {"second": 1800}},
    {"operation": "transcription_with_diarization", "quantities": {"minute": 2}},
    {"operation": "music_generation", "quantities": {"second": 60}},
    {"operation": "text_to_speech", "quantities": {"character": 5000}},
    {"operation": "transcription", "quantities": {"minute": {"min": 1, "max": 3}}},
):
    job = obol.estimate_job([work])
    need = job.requirements[0]
    credits = f"{need.max}" if need.min == need.max else f"{need.min} to {need.max}"
    dollars = (need.max * DOLLARS_PER_CREDIT).normalize()
    print(f"{work['operation']}: {credits} credits, ${dollars:f}, {'affordable' if job.is_affordable else 'too dear'}")
