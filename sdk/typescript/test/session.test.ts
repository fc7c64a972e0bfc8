/** Users who sign in, and stay so: one refresh at a time, each sent once. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { OPERATOR_KEY, openAccount, startTestObol } from '../../../test/running/obol.ts'
import { InvalidCredentialsError, SessionEndedError } from '../src/api/problems.ts'
import type { Tokens } from '../src/api/shapes.ts'
import { InvalidArgumentError } from '../src/errors.ts'
import { Obol } from '../src/obol.ts'
import { Session } from '../src/session.ts'

const PASSWORD = 'correct horse battery staple'

async function start(t: TestContext) {
  const running = await startTestObol(t)
  const account = await openAccount(running, '12.5')
  const operator = new Obol({ baseUrl: running.url, apiKey: OPERATOR_KEY })
  const nobody = new Obol({ baseUrl: running.url, apiKey: null })
  const { token } = await operator.users.invite({ email: 'lin@example.com', account, role: 'owner' })
  const accepted = await nobody.auth.acceptInvitation({ token, password: PASSWORD })
  return { ...running, nobody, accepted, who: { email: 'lin@example.com', password: PASSWORD } }
}

test('a user signs in, reads the balance, and is out after signing out', async (t) => {
  const { url, who } = await start(t)
  const session = await Session.signIn({ baseUrl: url }, who)
  const obol = new Obol({ baseUrl: url, apiKey: session.key })
  assert.equal((await obol.credits.get()).credit_types.credits?.available, '12.5')
  await session.signOut()
  await assert.rejects(obol.credits.get(), SessionEndedError)
})

test('calls at once share one refresh, and whoever keeps tokens hears of the new ones', async (t) => {
  const { url, accepted } = await start(t)
  const heard: Tokens[] = []
  const session = Session.resume({ baseUrl: url, onTokens: (tokens) => heard.push(tokens) }, { ...accepted, expires_in: 0 })
  const obol = new Obol({ baseUrl: url, apiKey: session.key })
  await Promise.all(Array.from({ length: 5 }, () => obol.me.get()))
  assert.equal(heard.length, 1)
  assert.equal(heard[0]?.refresh_token, session.tokens.refresh_token)
  assert.notEqual(session.tokens.refresh_token, accepted.refresh_token)
})

test('a wrong password is refused, and what needs a key says so without one', async (t) => {
  const { url, nobody, who } = await start(t)
  await assert.rejects(Session.signIn({ baseUrl: url }, { ...who, password: 'wrong horse battery staple' }), InvalidCredentialsError)
  await assert.rejects(nobody.credits.get(), InvalidArgumentError)
})
