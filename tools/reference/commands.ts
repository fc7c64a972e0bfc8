/** docs/reference/commands.md: what `--help` says of every command. */

import type { Command } from 'commander'
import { EXIT } from '../../src/cli/client.ts'
import { buildProgram } from '../../src/cli/main.ts'
import { markdown, type Page, table } from './page.ts'

/** Columns of the help on the page. */
const WIDTH = 110

const EXITS: Readonly<Record<keyof typeof EXIT, string>> = {
  failed:
    'The command did not succeed: the server refused it, `verify` found differences, a price file has faults, rows of an import failed, a move did not succeed.',
  usage: 'The command line, or a file that it names, cannot be read.',
  unavailable: 'The server cannot be reached, its port is taken, or its store cannot be opened.',
  config: 'A setting is wrong or missing, or Node is too old.',
}

const INTRODUCTION = `
# Commands

In a checkout: \`npm run obol -- <command>\`, or \`node bin/obol.js <command>\`. Both find the Node that the repository brings.

\`dev\` and \`serve\` run a server, \`verify\` and \`migrate-store\` work on the store itself, and every other command talks to a running server over its API. All of them
print a table for people, or JSON with \`--json\`; messages and failures go to standard error.
`

/** Every command below another, depth first, with its full name. */
export function commandsOf(command: Command, name = command.name()): readonly { readonly name: string; readonly command: Command }[] {
  return [{ name, command }, ...command.commands.flatMap((child) => commandsOf(child, `${name} ${child.name()}`))]
}

/** The page. */
export function commandsPage(): Page {
  const commands = commandsOf(buildProgram())
  const sections = commands.map(({ name, command }) => {
    const help = command.configureHelp({ helpWidth: WIDTH }).helpInformation().trimEnd()
    return `## ${name}\n\n\`\`\`text\n${help}\n\`\`\``
  })
  const exits = Object.entries(EXIT).map(([key, code]) => [`${code}`, EXITS[key as keyof typeof EXIT]])
  const codes = `## Exit codes\n\n${table(['Code', 'Meaning'], [['0', 'The command succeeded.'], ...exits])}`
  return markdown('docs/reference/commands.md', `${INTRODUCTION}\n${codes}\n\n${sections.join('\n\n')}`)
}
