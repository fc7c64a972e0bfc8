import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPERATOR_KEY, openAccount, startTestObol } from '../../test/running/obol.ts'
import { type Ended, runObol } from '../../test/running/process.ts'
import { startReceiver, until } from '../../test/running/receiver.ts'

test('endpoints are made, tried out, watched, told again, disabled and removed from the command line', async (t) => {
  const obol = await startTestObol(t, { OBOL_WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8' })
  const receiver = await startReceiver(t)
  const account = await openAccount(obol, '0')
  obol.clock.nowMs += 1_000
  const run = (...args: readonly string[]): Promise<Ended> =>
    runObol(['webhooks', ...args], { env: { OBOL_URL: obol.url, OBOL_OPERATOR_KEY: OPERATOR_KEY } })
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies freely; what is not there fails the test.
  const json = async (...args: readonly string[]): Promise<any> => {
    const { code, stdout, stderr } = await run(...args, '--json')
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    return JSON.parse(stdout)
  }

  const made = await run('create', receiver.url, '--account', account, '--events', 'grant.*,charge.created', '--description', 'shop')
  const [, id = ''] =
    /^id +(whe_\w{16})\naccount +acct_\w+\nurl +http\S+\nevents +grant\.\* charge\.created\nsecret +whsec_\S+\n/.exec(made.stdout) ?? []
  assert.notEqual(id, '', made.stdout)
  const bad = await run('create', 'https://127.0.0.1:22')
  assert.deepEqual([bad.code, bad.stderr.startsWith('obol: invalid_request: #/url must have port')], [1, true])
  assert.equal((await json('test', id)).outcome, 'delivered')
  receiver.answer = () => 500
  const failed = await run('test', id)
  assert.deepEqual([failed.code, /outcome +given_up/.test(failed.stdout)], [1, true])
  receiver.answer = () => 200

  obol.clock.nowMs += 1_000
  await obol.call('POST', '/v1/grants', { account, amount: '5' })
  await until(async () => (await json('attempts', id)).data.length === 3, 'the grant is told')
  const [{ event }] = (await json('attempts', id)).data
  obol.clock.nowMs += 1_000
  await json('resend', id, event)
  await until(async () => (await json('attempts', id, '--event', event)).data.length === 2, 'it is sent again')
  assert.match((await json('replay', id, '--start', '2020-01-01T00:00:00Z', '--end', '2020-01-02T00:00:00Z')).id, /^whr_/)
  assert.equal((await run('replay', id)).code, 2)
  const { stdout } = await run('attempts', id, '--limit', '2')
  assert.match(stdout.split('\n')[1] ?? '', /^wha_\w+ +evt_\w+ +grant\.created +resend +1 +delivered +200 +- +\d+ +- +20/)

  assert.match((await json('rotate', id, '--overlap', '60')).secret, /^whsec_/)
  assert.equal((await json('disable', id)).status, 'disabled')
  assert.deepEqual((await json('list', '--failed')).data, [])
  assert.equal((await json('enable', id)).status, 'enabled')
  assert.deepEqual((await json('list')).data, [], "the operator's own")
  assert.equal((await json('list', '--account', account)).data.length, 1)
  assert.equal((await json('remove', id)).id, id)
  const gone = await run('remove', id)
  assert.deepEqual([gone.code, gone.stderr], [1, 'obol: webhook_endpoint_not_found: No webhook endpoint has this id.\n'])
})
