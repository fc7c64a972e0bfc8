"""A report of the last 30 days: by service and by day, with what is worth a second look."""

import os

from obol import Obol

obol = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
summary = obol.summarize_usage(days=30)

print(f"{summary.credits} credits in {summary.charges} charges")
for one in summary.operations:
    amounts = [f"{quantity} {unit}" for unit, quantity in one.quantities.items()]
    print(f"  {one.operation}: {one.credits} credits, {one.charges} times, {one.average} each ({', '.join(amounts)})")
for day in summary.daily:
    print(f"  {day.day}: {day.credits}")

print(f"{summary.operations[0].operation} costs you most")
for one in summary.operations:
    if one.charges > 10 and one.average < 100:
        print(f"Consider batching {one.operation}")
