import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { readCurl, send } from '../../test/running/curl.ts'
import { makeFolder, runObol, type ServerProcess, startServer } from '../../test/running/process.ts'
import { auditFile } from '../stores/sqlite/audit.ts'
import { makeClient } from './client.ts'

const KEY = 'the-operator-key-of-process-tests'

/** What `obol dev` prints. */
interface Welcome {
  readonly url: string
  readonly operatorKey: string
  readonly accounts: readonly { readonly name: string; readonly id: string; readonly key: string }[]
  readonly user: { readonly email: string; readonly password: string }
  readonly curls: readonly string[]
}

function welcomeOf({ said: { stdout } }: ServerProcess): Welcome {
  return {
    url: /is running at (\S+)/.exec(stdout)?.[1] ?? '',
    operatorKey: /Operator key +(\S+)/.exec(stdout)?.[1] ?? '',
    accounts: [...stdout.matchAll(/^ {2}(\S.*?) +(acct_\w+) +(obol_live_\w+)$/gm)].map(([, name = '', id = '', key = '']) => ({
      name,
      id,
      key,
    })),
    user: userIn(stdout),
    curls: [...stdout.matchAll(/^ {2}(curl .+)$/gm)].map(([, line = '']) => line),
  }
}

function userIn(stdout: string): Welcome['user'] {
  const [, email = '', password = ''] = /^ {2}(\S+@\S+) {2}(\S+)$/m.exec(stdout) ?? []
  return { email, password }
}

/** The account that a user signs in to. */
async function accountOf({ url, user }: Welcome): Promise<string> {
  const signedIn = (await makeClient(url, '').call('POST', '/v1/auth/token', user)).body as { account: string; role: string }
  assert.equal(signedIn.role, 'owner')
  return signedIn.account
}

const hasCurl = spawnSync('curl', ['--version']).status === 0

/** Runs a line as whoever pastes it into a shell does; where there is no curl, sends what it says. */
async function paste(line: string): Promise<Readonly<Record<string, unknown>>> {
  if (!hasCurl) return (await send(readCurl(line))).body as Readonly<Record<string, unknown>>
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', line])
  assert.equal(stderr, '')
  return JSON.parse(stdout) as Readonly<Record<string, unknown>>
}

interface Credits {
  readonly credit_types: Readonly<Record<string, { readonly available: string }>>
}

test('obol dev prints its address, keys that work, and lines that do what they say when they are pasted', async (t) => {
  const server = await startServer(t, 'dev', { cwd: makeFolder(t) })
  const { url, operatorKey, accounts, curls } = welcomeOf(server)
  assert.equal(server.said.stderr, '')
  assert.equal(url, server.url)
  assert.deepEqual(
    accounts.map(({ name }) => name),
    ["Ada's Audio", 'Brenda Video'],
  )
  assert.match(server.said.stdout, /Dialects +\/shortgenius {2}\/audiopod {2}\/videodb {2}\/evolink/)
  const evolink = await fetch(`${url}/evolink/v1/credits`, { headers: { authorization: `Bearer ${accounts[0]?.key}` } })
  assert.equal(evolink.status, 200)
  assert.equal(curls.length, 3)
  const credits = (await paste(curls[0] ?? '')) as unknown as Credits & { account: string }
  assert.equal(credits.account, accounts[0]?.id)
  assert.equal(credits.credit_types.credits?.available, '21894.4777')
  const charge = await paste(curls[1] ?? '')
  assert.deepEqual([charge.object, charge.credits, charge.account], ['charge', '990', accounts[0]?.id])
  assert.deepEqual(await paste(curls[1] ?? ''), charge, 'the second time, the key makes it a replay')
  const checkout = await paste(curls[2] ?? '')
  assert.deepEqual([checkout.object, checkout.mode, checkout.credits], ['checkout_session', 'test', '7500'])
  assert.match(await (await fetch(String(checkout.url))).text(), /No real money is paid here/)
  for (const { id, key } of accounts) {
    const { body } = await makeClient(url, key).call('GET', '/v1/key')
    assert.equal((body as { account: string }).account, id)
  }
  assert.equal(await accountOf(welcomeOf(server)), accounts[0]?.id)
  assert.equal((await makeClient(url, operatorKey).call('GET', '/v1/audit/verify')).status, 200)
  const docs = await fetch(`${url}/docs`)
  assert.match(docs.headers.get('content-type') ?? '', /text\/html/)
})

test('obol dev keeps its secrets for the next start, readable by its user alone; that start prints the same and changes nothing', async (t) => {
  const cwd = makeFolder(t)
  const first = await startServer(t, 'dev', { cwd })
  const { url: _, curls: __, ...shown } = welcomeOf(first)
  assert.equal((await first.stop('SIGINT')).code, 0)
  const before = auditFile(join(cwd, 'data/obol.db'))
  const file = join(cwd, 'data/dev-secrets.json')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const secrets = readFileSync(file, 'utf8')

  const second = await startServer(t, 'dev', { cwd })
  const { url: ___, curls: ____, ...again } = welcomeOf(second)
  assert.deepEqual(again, shown)
  assert.equal((await second.stop()).code, 0)
  assert.deepEqual(auditFile(join(cwd, 'data/obol.db')), before)
  assert.equal(readFileSync(file, 'utf8'), secrets)
})

/** Removes what matches, after a first start of `obol dev`, and starts it again. */
async function devAfterLosing(t: TestContext, lost: RegExp): Promise<Welcome> {
  const cwd = makeFolder(t)
  const first = await startServer(t, 'dev', { cwd })
  assert.equal((await first.stop()).code, 0)
  for (const name of ['obol.db', 'obol.db-wal', 'obol.db-shm', 'obol.db.owner', 'dev-secrets.json'])
    if (lost.test(name)) rmSync(join(cwd, 'data', name), { force: true })
  return welcomeOf(await startServer(t, 'dev', { cwd }))
}

test('obol dev whose store was removed shows keys and a password that work all the same', async (t) => {
  const shown = await devAfterLosing(t, /^obol\.db/)
  const { url, accounts, curls } = shown
  assert.equal(accounts.length, 2)
  assert.equal(await accountOf(shown), accounts[0]?.id)
  for (const { key } of accounts)
    assert.equal((await fetch(`${url}/v1/credits`, { headers: { authorization: `Bearer ${key}` } })).status, 200)
  assert.equal((await paste(curls[1] ?? '')).object, 'charge')
})

test('obol dev whose secrets were removed shows keys and a password that work all the same', async (t) => {
  const shown = await devAfterLosing(t, /^dev-secrets/)
  const { url, accounts, curls } = shown
  assert.equal(accounts.length, 2)
  assert.equal(await accountOf(shown), accounts[0]?.id)
  for (const { key } of accounts)
    assert.equal((await fetch(`${url}/v1/credits`, { headers: { authorization: `Bearer ${key}` } })).status, 200)
  assert.equal((await paste(curls[1] ?? '')).object, 'charge')
})

test('obol dev whose sample key was revoked shows a new one, and leaves the other as it was', async (t) => {
  const cwd = makeFolder(t)
  const first = await startServer(t, 'dev', { cwd })
  const before = welcomeOf(first)
  const { body } = await makeClient(first.url, before.accounts[0]?.key ?? '').call('GET', '/v1/key')
  await makeClient(first.url, before.operatorKey).call('DELETE', `/v1/keys/${(body as { id: string }).id}`)
  assert.equal((await first.stop()).code, 0)
  const { url, accounts } = welcomeOf(await startServer(t, 'dev', { cwd }))
  assert.notEqual(accounts[0]?.key, before.accounts[0]?.key)
  assert.equal(accounts[1]?.key, before.accounts[1]?.key)
  for (const { id, key } of accounts) {
    const own = (await makeClient(url, key).call('GET', '/v1/key')).body as { account: string }
    assert.equal(own.account, id)
  }
})

function serve(t: TestContext, folder: string, env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  return startServer(t, 'serve', { cwd: folder, env: { OBOL_OPERATOR_KEY: KEY, ...env } })
}

test('obol serve makes an operator key with a new store, prints it once, and knows it ever after', async (t) => {
  const cwd = makeFolder(t)
  const first = await startServer(t, 'serve', { cwd })
  const [, key = ''] = /Operator key, shown this once:\n\n {2}(obol_admin_\w{38})\n/.exec(first.said.stdout) ?? []
  assert.equal((await makeClient(first.url, key).call('GET', '/v1/accounts')).status, 200)
  assert.equal((await first.stop()).code, 0)
  const second = await startServer(t, 'serve', { cwd })
  assert.doesNotMatch(second.said.stdout, /Operator key|obol_admin_/)
  assert.equal((await makeClient(second.url, key).call('GET', '/v1/accounts')).status, 200)
})

test('obol serve offers the first operator user once, who says their address and password and is the operator', async (t) => {
  const cwd = makeFolder(t)
  const first = await serve(t, cwd)
  const [, token = ''] = /First operator user: .*\n\n {2}(obol_invitation_\w{38})\n/.exec(first.said.stdout) ?? []
  const accepted = { token, email: 'root@example.com', password: 'correct horse battery staple' }
  const { body } = await makeClient(first.url, '').call('POST', '/v1/auth/accept-invitation', accepted)
  const { access_token, role } = body as { access_token: string; role: string }
  assert.equal(role, 'operator')
  assert.equal((await makeClient(first.url, access_token).call('GET', '/v1/accounts')).status, 200)
  assert.equal((await first.stop()).code, 0)
  const second = await serve(t, cwd)
  assert.doesNotMatch(second.said.stdout, /First operator|obol_invitation_/)
})

test('obol serve whose port is taken has shown the key of the store that it made', async (t) => {
  const cwd = makeFolder(t)
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  t.after(() => blocker.close())
  const { port } = blocker.address() as { port: number }
  const { code, stdout } = await runObol(['serve'], { cwd, env: { OBOL_PORT: String(port) } })
  assert.equal(code, 69)
  const [key = ''] = /obol_admin_\w{38}/.exec(stdout) ?? []
  const { url } = await startServer(t, 'serve', { cwd })
  assert.equal((await makeClient(url, key).call('GET', '/v1/accounts')).status, 200)
})

test('obol serve prints no key when it is given one, and opens to no other', async (t) => {
  const { url, said } = await serve(t, makeFolder(t))
  assert.ok(!said.stdout.includes(KEY) && !said.stdout.includes('obol_admin_'))
  assert.equal((await makeClient(url, KEY).call('GET', '/v1/accounts')).status, 200)
  await assert.rejects(makeClient(url, 'another-key-that-is-long-enough').call('GET', '/v1/accounts'), /invalid_key/)
})

test('obol serve begins with nothing: no prices, no accounts', async (t) => {
  const { url } = await serve(t, makeFolder(t))
  const { call } = makeClient(url, KEY)
  assert.deepEqual((await call('GET', '/v1/accounts')).body, {
    object: 'list',
    url: '/v1/accounts',
    has_more: false,
    next_cursor: null,
    data: [],
  })
  assert.deepEqual(((await call('GET', '/v1/price-book')).body as { data: unknown }).data, [])
})

test('obol serve logs JSON lines once it has shown what is shown once, and warns of a setting that it does not know', async (t) => {
  const folder = makeFolder(t)
  await (await serve(t, folder)).stop()
  const { said } = await serve(t, folder, { OBOL_PROT: '1', OBOL_URL: 'http://x.test' })
  const logged = said.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; msg: string })
  assert.deepEqual(
    logged.filter(({ level }) => level > 30).map(({ msg }) => msg),
    ['OBOL_PROT is not a setting and is ignored; docs/reference/settings.md lists them'],
  )
})

/** A request whose body is only half sent; `finish` sends the rest, and gives the answer's first line; null: there was none. */
async function halfSent(url: string): Promise<{ readonly finish: () => Promise<string | null> }> {
  const body = JSON.stringify({ name: 'Slow' })
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  const answer = new Promise<string | null>((resolve) => {
    socket.once('data', (text: string) => resolve(text.split('\r\n', 1)[0] ?? ''))
    for (const end of ['error', 'close'] as const) socket.once(end, () => resolve(null))
  })
  const head = `POST /v1/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  await new Promise<void>((resolve) => {
    socket.write(head + body.slice(0, 5), () => resolve())
  })
  const finish = (): Promise<string | null> => {
    if (socket.writable) socket.write(body.slice(5))
    return answer
  }
  return { finish }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`${signal} stops a server within a second, with the request that runs finished and durable`, async (t) => {
    const folder = makeFolder(t)
    const server = await serve(t, folder)
    const { finish } = await halfSent(server.url)
    await wait(100)
    const stopped = server.stop(signal)
    await wait(200)
    assert.equal(await finish(), 'HTTP/1.1 201 Created')
    const { code, tookMs, stdout } = await stopped
    assert.equal(code, 0)
    assert.ok(tookMs < 1_500, `it took ${tookMs} ms`)
    assert.match(stdout, new RegExp(`"${signal}: stopping"`))
    const { checked, differences } = auditFile(join(folder, 'data/obol.db'))
    assert.deepEqual([checked.accounts, differences], [1, []])
  })

test('a server with open connections on which nothing happens stops at once, and takes no new ones', async (t) => {
  const server = await serve(t, makeFolder(t))
  await (await fetch(`${server.url}/livez`)).text()
  const { code, tookMs } = await server.stop()
  assert.equal(code, 0)
  assert.ok(tookMs < 1_500, `it took ${tookMs} ms`)
  await assert.rejects(fetch(`${server.url}/livez`))
})

test('a second signal, some time after the first, ends a stop that takes long', async (t) => {
  const server = await serve(t, makeFolder(t))
  const { finish } = await halfSent(server.url)
  await wait(100)
  server.signal('SIGTERM')
  await wait(1_200)
  const { code, tookMs } = await server.stop('SIGTERM')
  assert.equal(code, 1)
  assert.ok(tookMs < 1_000, `it took ${tookMs} ms`)
  assert.equal(await finish(), null)
})

test('a store that a process owns is refused to another, which says who has it; it is free once that one is killed', async (t) => {
  const folder = makeFolder(t)
  const owner = await serve(t, folder)
  await assert.rejects(serve(t, folder), (fault: Error) => {
    assert.match(fault.message, /"code":69/)
    assert.match(fault.message, new RegExp(`obol\\.db is in use by another Obol process \\(pid ${owner.pid}\\)`))
    return true
  })
  assert.equal((await makeClient(owner.url, KEY).call('POST', '/v1/accounts', { name: 'Still here' })).status, 201)
  owner.signal('SIGKILL')
  await owner.ended
  const next = await serve(t, folder)
  const { data } = (await makeClient(next.url, KEY).call('GET', '/v1/accounts')).body as { data: { name: string }[] }
  assert.deepEqual(
    data.map(({ name }) => name),
    ['Still here'],
  )
})

test('a port that is taken is refused with what to do, and nothing is left running', async (t) => {
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  t.after(() => blocker.close())
  const { port } = blocker.address() as { port: number }
  for (const command of ['serve', 'dev'] as const)
    await assert.rejects(startServer(t, command, { cwd: makeFolder(t), env: { OBOL_PORT: String(port) } }), (fault: Error) => {
      assert.match(fault.message, /"code":69/)
      assert.match(
        fault.message,
        new RegExp(`obol: 127\\.0\\.0\\.1:${port} cannot be listened on \\(EADDRINUSE\\)\\. Stop what uses it, or set OBOL_PORT`),
      )
      return true
    })
})

test("a dialect's own port that is taken is refused in the same way", async (t) => {
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  t.after(() => blocker.close())
  const { port } = blocker.address() as { port: number }
  const env = { OBOL_DIALECT_PORTS: `evolink:0,audiopod:${port}` }
  await assert.rejects(startServer(t, 'serve', { cwd: makeFolder(t), env }), (fault: Error) => {
    assert.match(fault.message, /"code":69/)
    assert.match(
      fault.message,
      new RegExp(`127\\.0\\.0\\.1:${port} cannot be listened on \\(EADDRINUSE\\)\\. Stop what uses it, or set OBOL_DIALECT_PORTS`),
    )
    return true
  })
})

/** A Node that gets the signal in the moment in which its server begins to listen. */
const signalledWhileItStarts = `
  import { Server } from 'node:net'
  const listen = Server.prototype.listen
  Server.prototype.listen = function (...values) {
    process.kill(process.pid, 'SIGTERM')
    return listen.apply(this, values)
  }`

test('a signal that comes while the server starts stops it gracefully all the same', async (t) => {
  const cwd = makeFolder(t)
  const { code, stdout } = await runObol(['serve'], {
    cwd,
    env: { OBOL_PORT: '0', OBOL_OPERATOR_KEY: KEY },
    node: [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(signalledWhileItStarts)}`],
  })
  assert.match(stdout, /SIGTERM: stopping/)
  assert.equal(code, 0)
  assert.equal(statSync(join(cwd, 'data/obol.db-wal'), { throwIfNoEntry: false })?.size ?? 0, 0)
  assert.deepEqual(auditFile(join(cwd, 'data/obol.db')).differences, [])
})
