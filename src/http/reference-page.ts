/** `/docs`: the reference of the native API, made from its OpenAPI document. Nothing on it is fetched from elsewhere. */

import { hash } from 'node:crypto'
import fastify, { type FastifyInstance } from 'fastify'

/** The files of the reference page, as they are sent. */
interface ReferenceFiles {
  readonly html: string
  readonly script: string
  /** Lets the page's own scripts run and nothing else, and lets it talk to this server alone. */
  readonly policy: string
}

/** The page's code is megabytes: it is loaded when the page is first asked for. */
async function loadFiles(): Promise<ReferenceFiles> {
  const { default: scalar } = await import('@scalar/fastify-api-reference')
  const page = fastify()
  await page.register(scalar, {
    routePrefix: '/docs',
    configuration: {
      url: '/openapi.json',
      title: 'Obol API',
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      showDeveloperTools: 'never',
      // Both would send readers of this server's page to somebody else's.
      agent: { disabled: true },
      mcp: { disabled: true },
    },
  })
  const html = (await page.inject('/docs/')).body
  const script = (await page.inject('/docs/js/scalar.js')).body
  await page.close()
  const inline = [...html.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, text = '']) => `'sha256-${hash('sha256', text, 'base64')}'`,
  )
  const policy = `default-src 'none'; script-src 'self' ${inline.join(' ')}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  return { html, script, policy }
}

export async function referencePage(app: FastifyInstance): Promise<void> {
  let loading: Promise<ReferenceFiles> | null = null
  const files = (): Promise<ReferenceFiles> => {
    loading ??= loadFiles()
    return loading
  }
  const options = { config: { access: 'public' }, schema: { hide: true } } as const
  app.get('/docs', options, (_request, reply) => reply.redirect('/docs/', 301))
  app.get('/docs/', options, async (_request, reply) => {
    const { html, policy } = await files()
    return reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(html)
  })
  app.get('/docs/js/scalar.js', options, async (_request, reply) => {
    const { script } = await files()
    return reply.header('cache-control', 'public, max-age=3600').type('text/javascript; charset=utf-8').send(script)
  })
}
