import assert from 'node:assert/strict'
import { test } from 'node:test'
import fastify from 'fastify'
import { Type } from 'typebox'
import { ProblemBody } from './native/schemas.ts'
import { SCHEMA_COMPILERS } from './schema-compilers.ts'

const Numbered = Type.Object({ number: Type.Integer() }, { additionalProperties: false })

/** A server whose routes give back what they were sent; the schema is the same for the body, the query and the answer. */
async function serve() {
  const app = fastify({ schemaController: SCHEMA_COMPILERS })
  const schema = { querystring: Numbered, response: { 200: Numbered } }
  app.get('/query', { schema }, ({ query }) => ({ ...(query as object), secret: 'not in the schema' }))
  app.post('/body', { schema: { body: Numbered, response: { 200: Numbered } } }, ({ body }) => body)
  await app.ready()
  return app
}

test('bodies are taken as they are and queries are read as text, though their schema is the same', async () => {
  const app = await serve()
  assert.deepEqual((await app.inject('/query?number=7')).json(), { number: 7 })
  assert.deepEqual((await app.inject({ method: 'POST', url: '/body', payload: { number: 7 } })).json(), { number: 7 })
  for (const payload of [{ number: '7' }, { number: 7, more: 1 }, {}]) {
    assert.equal((await app.inject({ method: 'POST', url: '/body', payload })).statusCode, 400)
  }
})

test('what one request does wrong is not held against the next, nor is a server disturbed by another', async () => {
  const [one, other] = [await serve(), await serve()]
  assert.equal((await one.inject('/query?number=x')).statusCode, 400)
  assert.equal((await one.inject('/query?number=1')).statusCode, 200)
  await one.close()
  assert.deepEqual((await other.inject('/query?number=2')).json(), { number: 2 })
})

test('what writes a schema is compiled once, for all routes and servers that have it', () => {
  const { buildSerializer } = SCHEMA_COMPILERS.compilersFactory ?? {}
  assert.ok(buildSerializer)
  const [compile, again] = [buildSerializer(), buildSerializer()]
  const route = { method: 'GET', url: '/', httpStatus: '200' }
  assert.equal(compile({ ...route, schema: Numbered }), again({ ...route, url: '/other', schema: Numbered }))
  assert.notEqual(compile({ ...route, schema: Numbered }), compile({ ...route, schema: Type.Object({}) }))
})

test('a route may answer with the problem itself, and others still refer to it', async () => {
  const problem = { type: 'about:blank', title: 't', status: 404, detail: 'd', code: 'c', instance: 'i', request_id: 'r', docs: 'x' }
  const app = fastify({ schemaController: SCHEMA_COMPILERS })
  app.addSchema(ProblemBody)
  app.get('/itself', { schema: { response: { 200: ProblemBody } } }, () => problem)
  app.get('/referred', { schema: { response: { 200: Type.Object({ error: Type.Ref('Problem') }) } } }, () => ({ error: problem }))
  assert.deepEqual((await app.inject('/itself')).json(), problem)
  assert.deepEqual((await app.inject('/referred')).json(), { error: problem })
})
