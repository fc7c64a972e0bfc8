import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { startTestObol } from '../../test/running/obol.ts'

test('the reference page', async (t) => {
  const { call, url } = await startTestObol(t)
  const page = await call('GET', '/docs/', undefined, { key: null })
  const policy = page.headers.get('content-security-policy') ?? ''

  await t.test('is found with and without its last slash', async () => {
    assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8'])
    const redirect = await fetch(`${url}/docs`, { redirect: 'manual' })
    assert.deepEqual([redirect.status, redirect.headers.get('location')], [301, '/docs/'])
  })

  await t.test('loads its script and its document from this server and nothing from elsewhere', async () => {
    const sources = [...page.text.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, source = '']) => source)
    assert.deepEqual(sources, ['js/scalar.js'])
    assert.doesNotMatch(page.text, /https?:\/\//)
    const script = await call('GET', '/docs/js/scalar.js', undefined, { key: null })
    assert.deepEqual([script.status, script.headers.get('content-type')], [200, 'text/javascript; charset=utf-8'])
    assert.ok(page.text.includes('"url": "/openapi.json"'))
  })

  await t.test('lets its own scripts run and no others, and talks to this server alone', () => {
    const inline = [...page.text.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, text = '']) => text)
    assert.ok(inline.length > 0)
    for (const text of inline) assert.ok(policy.includes(`'sha256-${hash('sha256', text, 'base64')}'`))
    const directives = new Map(policy.split('; ').map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1)]))
    assert.deepEqual(directives.get('default-src'), ["'none'"])
    assert.deepEqual(directives.get('connect-src'), ["'self'"])
    assert.deepEqual(directives.get('frame-ancestors'), ["'none'"])
    assert.ok(!directives.get('script-src')?.some((source) => source === "'unsafe-inline'" || source === "'unsafe-eval'" || source === '*'))
    assert.doesNotMatch(policy, /https?:/)
  })

  await t.test('leads nobody to the hosted services of those who made it', () => {
    assert.match(page.text, /"agent": \{\s*"disabled": true\s*\}/)
    assert.match(page.text, /"mcp": \{\s*"disabled": true\s*\}/)
  })

  await t.test('shows telemetry, hosted clients and fonts of others to nobody', () => {
    for (const setting of ['"telemetry": false', '"withDefaultFonts": false', '"hideClientButton": true'])
      assert.ok(page.text.includes(setting), setting)
  })
})
