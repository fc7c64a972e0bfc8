/** Work in lanes: side by side, and in order within each. */

/** Takes each item of each lane, so many lanes at once. The first fault stops them all and is thrown once nothing runs any more. */
export async function inLanes<Item>(
  lanes: readonly (readonly Item[])[],
  lanesAtOnce: number,
  take: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = lanes.values()
  let isStopped = false
  const work = async (): Promise<void> => {
    for (const lane of waiting)
      for (const item of lane) {
        if (isStopped) return
        await take(item).catch((fault: unknown) => {
          isStopped = true
          throw fault
        })
      }
  }
  const ends = await Promise.allSettled(Array.from({ length: lanesAtOnce }, work))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
