import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InFlight } from './in-flight.ts'

test('who uses a name while another does has company, whoever ends first; afterwards nobody has', async () => {
  const inFlight = new InFlight()
  const first = Promise.withResolvers<void>()
  const company: boolean[] = []
  const use = (name: string, until: Promise<void>): Promise<void> =>
    inFlight.use(name, async (isBesideAnother) => {
      company.push(isBesideAnother)
      await until
    })
  const uses = [
    use('a', first.promise),
    use('a', Promise.resolve()),
    use('b', Promise.resolve()),
    use('a', Promise.reject(new Error('it fails'))),
  ]
  assert.deepEqual(company, [false, true, false, true])
  first.resolve()
  await Promise.allSettled(uses)
  await use('a', Promise.resolve())
  assert.equal(company.at(-1), false)
})
