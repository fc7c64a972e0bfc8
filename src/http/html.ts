/** Pages for people: HTML put together so that no text can become markup, with nothing in it that runs. */

import { hash } from 'node:crypto'
import type { FastifyReply } from 'fastify'

/** Text that is markup already. */
export interface Html {
  readonly markup: string
}

/** Puts markup together. What is put in is text, unless it is markup itself, or a list of it. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | number | Html | readonly Html[])[]): Html {
  const written = parts.map((part, index) => `${part}${index < values.length ? markupOf(values[index] ?? '') : ''}`)
  return { markup: written.join('') }
}

function markupOf(value: string | number | Html | readonly Html[]): string {
  if (typeof value === 'string' || typeof value === 'number') return escaped(String(value))
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c1d21; --soft: #5b5e68; --paper: #ffffff; --ground: #f3f4f6; --line: #d9dbe1; --act: #2447c9;
  --on-act: #ffffff; --note: #fff4d6; --on-note: #4f3a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef3; --soft: #a9adb9; --paper: #1d1f26; --ground: #121318; --line: #393c47;
  --act: #8ea6ff; --on-act: #10131f; --note: #3b2f0b; --on-note: #ffe6a3; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; align-items: center; justify-content: center; padding: 1.5rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Open Sans", sans-serif; }
main { width: 100%; max-width: 26rem; background: var(--paper); border: 1px solid var(--line); border-radius: .9rem; overflow: hidden; }
section { padding: 1.6rem; display: flex; flex-direction: column; gap: .9rem; }
h1 { margin: 0; font-size: 1.15rem; line-height: 1.3; }
p { margin: 0; color: var(--soft); }
.price { margin: 0; font-size: 2.1rem; font-weight: 650; line-height: 1.15; color: var(--ink); }
.note { padding: .7rem 1.6rem; background: var(--note); color: var(--on-note); font-size: .9rem; font-weight: 600; }
.said { border: 1px solid var(--line); border-radius: .6rem; padding: .7rem .9rem; color: var(--ink); }
form { display: grid; gap: .6rem; }
button, a.button { display: block; width: 100%; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: .6rem; background: transparent;
  color: var(--ink); font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; }
button.first, a.first { background: var(--act); border-color: var(--act); color: var(--on-act); }
button:hover, a.button:hover { filter: brightness(1.08); }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
a.quiet { color: var(--soft); text-align: center; }
`

const POLICY = `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; base-uri 'none'; frame-ancestors 'none'`

/** A page. */
export interface PageContent {
  readonly title: string
  readonly body: Html
  /** Seconds after which it is loaded anew; null: never. */
  readonly refreshSeconds?: number | null
}

/** Sends a page. Its address may be a secret, so it is told to nobody. */
export function sendPage(reply: FastifyReply, { title, body, refreshSeconds = null }: PageContent): FastifyReply {
  const refresh = refreshSeconds === null ? [] : [html`<meta http-equiv="refresh" content="${refreshSeconds}">`]
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
${refresh}
<style>${{ markup: STYLE }}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`
  return reply
    .headers({ 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' })
    .type('text/html; charset=utf-8')
    .send(page.markup)
}
