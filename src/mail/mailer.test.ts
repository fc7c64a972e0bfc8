import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createAlert, DAILY, deleteAlert } from '../../test/running/alerts.ts'
import { assertSoundFile } from '../../test/running/ledger.ts'
import { type Mailbox, openMailbox } from '../../test/running/mailbox.ts'
import { caller, OPERATOR_KEY, openAccount as openOverHttp, publishTestPrices, startTestObol } from '../../test/running/obol.ts'
import { signUp } from '../../test/running/people.ts'
import { makeFolder, startServer } from '../../test/running/process.ts'
import { openTestStore, STORE_KINDS, type StoreKind } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { seqOf } from '../../test/running/store-commands.ts'
import { openSqliteStore } from '../stores/sqlite/sqlite-store.ts'
import type { Store } from '../stores/store.ts'
import { Mailer } from './mailer.ts'
import { Smtp } from './smtp.ts'

const ADA = 1
const BOB = 2
const SILENCE_MS = 3_000

interface Scene {
  readonly store: Store
  readonly clock: { nowMs: number }
  readonly mailbox: Mailbox
  readonly mailer: Mailer
  readonly failures: readonly string[]
  /** Another one on the same store, as another process has it. */
  readonly another: () => Mailer
}

function mailerOn(store: Store, { url }: Pick<Mailbox, 'url'>, { clock, failures }: { clock: () => number; failures: string[] }): Mailer {
  const smtp = new Smtp({ url, from: 'Obol <obol@credits.example>', silenceMs: SILENCE_MS })
  return new Mailer({ store, smtp, clock, topUpUrl: 'https://shop.example/credits', onFailure: (failure) => failures.push(failure) })
}

/** A store with two accounts of 100 credits, whose feed was read up to there. */
async function start(t: TestContext, kind: StoreKind = 'sqlite'): Promise<Scene> {
  const { store, clock } = await openTestStore(t, kind)
  const mailbox = await openMailbox(t)
  const failures: string[] = []
  const another = (): Mailer => mailerOn(store, mailbox, { clock: () => clock.nowMs, failures })
  const mailer = another()
  await mailer.turn()
  clock.nowMs += 1_000
  for (const account of [ADA, BOB]) {
    await make.make(store, account, make.createAccount({ name: account === ADA ? "Ada's\r\nAudio" : 'Bob' }))
    await make.make(store, account, make.grant(100))
  }
  return { store, clock, mailbox, mailer, failures, another }
}

const to = (...emailTo: readonly string[]) => ({ emailOwners: false, emailTo }) as const

for (const kind of STORE_KINDS) {
  test(`on ${kind}, whom an alert names is written to once when it fires, and not when it recovers`, async (t) => {
    const { store, mailbox, mailer, clock } = await start(t, kind)
    await seqOf(store, ADA, createAlert({ credits: 30, level: 'critical', ...to('ada@example.com', 'lin@example.com') }))
    await seqOf(store, ADA, createAlert({ watch: DAILY, credits: 50, ...to('ada@example.com') }))
    await seqOf(store, ADA, make.charge(75))
    await mailer.turn()
    await seqOf(store, ADA, make.grant(100))
    clock.nowMs += make.DAY_MS
    await mailer.turn()
    await mailer.tidy()
    assert.deepEqual(mailbox.letters.map((letter) => letter.to).sort(), ['ada@example.com', 'lin@example.com'])
    const [letter] = mailbox.letters
    assert.equal(letter?.subject, "Critical: credits are low: Ada's Audio")
    assert.match(letter?.messageId ?? '', /^<evt_[0-9a-v]{16}\.alerts@credits\.example>$/)
    assert.equal(
      letter?.body.trimEnd(),
      [
        "Account Ada's Audio, at 2026-11-20T12:30:01.000Z:",
        '',
        '- 25 credits are left (alert at 30)',
        '- warning: 75 credits were spent today, UTC (alert at 50)',
        '',
        'Credits: https://shop.example/credits',
      ].join('\n'),
    )
  })

  test(`on ${kind}, two that take themselves for the one never send the same mail twice`, async (t) => {
    const { store, mailbox, mailer, another } = await start(t, kind)
    const addresses = Array.from({ length: 5 }, (_, index) => `reader${index}@example.com`)
    for (const account of [ADA, BOB])
      for (const credits of [90, 60, 30]) await seqOf(store, account, createAlert({ credits, ...to(...addresses) }))
    const others = [another(), another()]
    for (const amount of [15, 30, 30]) {
      for (const account of [ADA, BOB]) await seqOf(store, account, make.charge(amount))
      await Promise.all([mailer, ...others].map((one) => one.turn()))
    }
    for (const one of [mailer, ...others]) await one.turn()
    const names = mailbox.letters.map(({ to: address, messageId }) => `${address} ${messageId}`)
    assert.deepEqual([names.length, new Set(names).size], [30, 30])
    for (const address of addresses)
      for (const name of ["Ada's Audio", 'Bob']) {
        const left = mailbox.letters.filter((letter) => letter.to === address && letter.subject.endsWith(name))
        assert.deepEqual(
          left.map(({ body }) => /- (\d+) credits/.exec(body)?.[1]),
          ['85', '55', '25'],
          `${address} hears of ${name} in order`,
        )
      }
  })
}

test('a server that refuses for now is asked again later, and again less often; letters stay in order', async (t) => {
  const { store, mailbox, mailer, clock, failures } = await start(t)
  await seqOf(store, ADA, createAlert({ credits: 80, ...to('ada@example.com') }))
  await seqOf(store, ADA, createAlert({ credits: 40, ...to('ada@example.com', 'lin@example.com') }))
  mailbox.set('ada@example.com', { refuse: 450 })
  await seqOf(store, ADA, make.charge(30))
  await mailer.turn()
  await seqOf(store, ADA, make.charge(40))
  await mailer.turn()
  assert.deepEqual(
    mailbox.letters.map((letter) => letter.to),
    ['lin@example.com'],
    'who is refused holds up nobody else',
  )
  assert.equal(mailbox.asked.get('ada@example.com'), 1, 'the second letter waits for the first')
  clock.nowMs += 59_999
  await mailer.turn()
  assert.equal(mailbox.asked.get('ada@example.com'), 1)
  clock.nowMs += 1
  mailbox.set('ada@example.com', { refuseLetter: 452 })
  await mailer.turn()
  assert.equal(mailbox.asked.get('ada@example.com'), 2)
  clock.nowMs += 300_000
  mailbox.set('ada@example.com', 'keep')
  await mailer.turn()
  const toAda = mailbox.letters.filter((letter) => letter.to === 'ada@example.com')
  assert.deepEqual(
    toAda.map(({ body }) => /- (\d+) credits/.exec(body)?.[1]),
    ['70', '30'],
  )
  assert.equal(failures.length, 2)
  assert.ok(failures.every((failure) => failure.includes('it is tried again') && !failure.includes('@')))
})

test('a server that refuses for ever is asked once, and one that goes on refusing eight times', async (t) => {
  const { store, mailbox, mailer, clock, failures } = await start(t)
  await seqOf(store, ADA, createAlert({ credits: 80, ...to('gone@example.com', 'later@example.com', 'spam@example.com') }))
  mailbox.set('gone@example.com', { refuse: 550 })
  mailbox.set('later@example.com', { refuse: 450 })
  mailbox.set('spam@example.com', { refuseLetter: 554 })
  await seqOf(store, ADA, make.charge(30))
  for (let hours = 0; hours < 72; hours++) {
    for (let turn = 0; turn < 4; turn++) await mailer.turn()
    clock.nowMs += make.HOUR_MS
  }
  assert.deepEqual(
    ['gone', 'later', 'spam'].map((name) => mailbox.asked.get(`${name}@example.com`)),
    [1, 8, 1],
  )
  assert.equal(failures.filter((failure) => failure.includes('it is given up')).length, 3)
  assert.deepEqual(mailbox.letters, [])
})

test('a server that says nothing more is waited for a while, and holds up nobody else', async (t) => {
  const { store, mailbox, mailer, clock } = await start(t)
  await seqOf(store, ADA, createAlert({ credits: 80, ...to('slow@example.com') }))
  await seqOf(store, BOB, createAlert({ credits: 80, ...to('bob@example.com') }))
  mailbox.set('slow@example.com', 'hang')
  for (const account of [ADA, BOB]) await seqOf(store, account, make.charge(30))
  await mailer.turn()
  assert.deepEqual(
    mailbox.letters.map((letter) => letter.to),
    ['bob@example.com'],
  )
  mailbox.set('slow@example.com', 'keep')
  clock.nowMs += 60_000
  await mailer.turn()
  assert.deepEqual(
    mailbox.letters.map((letter) => letter.to),
    ['bob@example.com', 'slow@example.com'],
  )
})

test('nobody is written to about an alert that is gone, or about what happened before mails were sent, or long ago', async (t) => {
  const { store, mailbox, mailer, clock, another } = await start(t)
  const gone = await seqOf(store, ADA, createAlert({ credits: 80, ...to('ada@example.com') }))
  await seqOf(store, ADA, make.charge(30))
  await seqOf(store, ADA, deleteAlert(gone))
  await mailer.turn()
  await seqOf(store, BOB, createAlert({ credits: 80, ...to('bob@example.com') }))
  await seqOf(store, BOB, make.charge(30))
  clock.nowMs += 2 * make.DAY_MS
  await make.make(store, BOB, make.grant(1))
  await another().turn()
  assert.deepEqual(mailbox.letters, [])
})

test('owners who have accepted their invitation are written to, by a server that is told where', async (t) => {
  const mailbox = await openMailbox(t)
  const obol = await startTestObol(t, { OBOL_SMTP_URL: mailbox.url, OBOL_MAIL_FROM: 'obol@credits.example' })
  await publishTestPrices(obol)
  const account = await openOverHttp(obol, '100')
  await signUp(obol, 'owner@example.com', { account, role: 'owner' })
  await signUp(obol, 'member@example.com', { account, role: 'member' })
  await obol.call('POST', '/v1/users', { email: 'invited@example.com', account, role: 'owner' })
  const beginning = await until(async () => (await obol.obol.services.store.mails.position()) !== null)
  assert.ok(beginning, 'the feed is read')
  await obol.call('POST', '/v1/alerts', { account, watch: 'balance', threshold: 50, email_to: ['ops@example.com', 'OWNER@example.com'] })
  await obol.call('POST', '/v1/charges', { account, operation: 'unit', amount: '60' })
  assert.ok(await until(async () => mailbox.letters.length >= 2))
  await obol.obol.close()
  assert.deepEqual(mailbox.letters.map((letter) => letter.to.toLowerCase()).sort(), ['ops@example.com', 'owner@example.com'])
})

async function until(isSo: () => Promise<boolean>, withinMs = 20_000): Promise<boolean> {
  for (const endMs = Date.now() + withinMs; Date.now() < endMs; ) {
    if (await isSo()) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

for (const killed of ['after the charge', 'while the letter is handed over'] as const)
  test(`a server that is killed ${killed} leaves a letter that the next one sends`, async (t) => {
    const file = `${makeFolder(t)}/obol.db`
    let kill = (): void => undefined
    const first = await openMailbox(t, () => killed === 'while the letter is handed over' && kill())
    first.set('ada@example.com', 'read and hang')
    const env = {
      OBOL_DATABASE_URL: `sqlite:${file}`,
      OBOL_OPERATOR_KEY: OPERATOR_KEY,
      OBOL_SMTP_URL: first.url,
      OBOL_MAIL_FROM: 'obol@credits.example',
    }
    const server = await startServer(t, 'serve', { env })
    kill = () => server.signal('SIGKILL')
    const obol = { call: caller(server.url) }
    await publishTestPrices(obol)
    const account = await openOverHttp(obol, '100')
    await obol.call('POST', '/v1/alerts', { account, watch: 'balance', threshold: 50, email_owners: false, email_to: ['ada@example.com'] })
    // The first turn of the mailer begins where the feed ends by then.
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    await obol.call('POST', '/v1/charges', { account, operation: 'unit', amount: '60' })
    if (killed === 'after the charge') kill()
    await server.ended
    const second = await openMailbox(t)
    const store = openSqliteStore({ file, onFault: (fault) => assert.fail(String(fault)) })
    const failures: string[] = []
    const mailer = mailerOn(store, second, { clock: () => Date.now() + 600_000, failures })
    for (let turn = 0; turn < 3; turn++) await mailer.turn()
    await store.close()
    assert.deepEqual(
      second.letters.map((letter) => letter.to),
      ['ada@example.com'],
    )
    if (killed === 'while the letter is handed over') assert.equal(first.letters[0]?.messageId, second.letters[0]?.messageId)
    assert.deepEqual(failures, [])
    assertSoundFile(file, 'the file is sound')
  })
