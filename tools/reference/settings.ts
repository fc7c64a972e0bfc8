/** docs/reference/settings.md: every setting of the server. */

import { SETTINGS } from '../../src/config.ts'
import { markdown, type Page, table } from './page.ts'

const INTRODUCTION = `
# Settings

Settings are environment variables. An empty one counts as not set. All faults are told at once, and the process ends with 78; a name that
begins with \`OBOL_\` and is not listed here is warned of when the server starts.

Instead of any \`NAME\`, \`NAME_FILE\` may name a file that holds the value, as secrets are mounted in containers: the text of the file without
the white space around it. Setting both is a fault. Settings marked with \\* are secrets: their values are never shown, not even in faults.
`

const CLIENT = `
## Of the command line

Commands that talk to a server (\`accounts\`, \`grants\`, \`keys\`, \`prices\`, \`import\`) read two variables: \`OBOL_URL\`, the address of the server
(default \`http://127.0.0.1:4000\`), and \`OBOL_OPERATOR_KEY\`, its operator key (default: that of \`obol dev\` in the same folder).
`

interface Shown {
  readonly meaning: string
  readonly fallback: string | null
  readonly isSecret?: true
  readonly form: string
}

/** The page. */
export function settingsPage(): Page {
  const settings: [string, Shown][] = Object.entries(SETTINGS)
  const rows = settings.map(([name, { meaning, fallback, isSecret, form }]) => [
    `\`${name}\`${isSecret ? ' \\*' : ''}`,
    meaning,
    fallback === null ? 'none' : `\`${fallback}\``,
    form,
  ])
  return markdown('docs/reference/settings.md', `${INTRODUCTION}\n${table(['Name', 'Meaning', 'Default', 'Form'], rows)}\n${CLIENT}`)
}
