/** A real SMTP server for tests: it keeps what it is handed, or refuses it, or says nothing more. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { SMTPServer } from 'smtp-server'

/** A letter as it arrived. */
export interface Arrived {
  readonly to: string
  readonly subject: string
  readonly messageId: string
  readonly body: string
}

/** What becomes of a letter: it is kept; it is refused with an answer; nothing is answered, before the letter or after it was read. */
export type Behaviour = 'keep' | 'hang' | 'read and hang' | { readonly refuse: 450 | 550 } | { readonly refuseLetter: 452 | 554 }

export interface Mailbox {
  readonly url: string
  readonly letters: readonly Arrived[]
  /** How often each address was named to it. */
  readonly asked: ReadonlyMap<string, number>
  /** What becomes of letters to an address from now on. */
  readonly set: (to: string, behaviour: Behaviour) => void
}

function refusal(responseCode: number): Error {
  return Object.assign(new Error('not today'), { responseCode })
}

function headerOf(raw: string, name: string): string {
  const [head = ''] = raw.split('\r\n\r\n')
  const unfolded = head.replaceAll(/\r\n[ \t]/g, ' ')
  return new RegExp(`^${name}: (.*)$`, 'im').exec(unfolded)?.[1] ?? ''
}

/** Starts a mailbox, which is closed when the test ends. `onLetter` hears of a letter before it is answered. */
export async function openMailbox(t: TestContext, onLetter: (letter: Arrived) => void = () => undefined): Promise<Mailbox> {
  const letters: Arrived[] = []
  const asked = new Map<string, number>()
  const behaviours = new Map<string, Behaviour>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    logger: false,
    onRcptTo({ address }, _, answer) {
      asked.set(address, (asked.get(address) ?? 0) + 1)
      const behaviour = behaviours.get(address) ?? 'keep'
      if (behaviour === 'hang') return
      answer(typeof behaviour === 'object' && 'refuse' in behaviour ? refusal(behaviour.refuse) : null)
    },
    onData(stream, { envelope }, answer) {
      void text(stream).then((raw) => {
        const to = envelope.rcptTo[0]?.address ?? ''
        const behaviour = behaviours.get(to) ?? 'keep'
        const [, body = ''] = raw.split(/\r\n\r\n([\s\S]*)/)
        const letter = {
          to,
          subject: headerOf(raw, 'Subject'),
          messageId: headerOf(raw, 'Message-ID'),
          body: body.replaceAll('\r\n', '\n'),
        }
        if (typeof behaviour === 'object' && 'refuseLetter' in behaviour) {
          answer(refusal(behaviour.refuseLetter))
          return
        }
        letters.push(letter)
        onLetter(letter)
        if (behaviour !== 'read and hang') answer(null)
      })
    },
  })
  // Clients that give up, or are killed, break their connections off.
  server.on('error', () => undefined)
  const listening = server.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { url: `smtp://127.0.0.1:${port}`, letters, asked, set: (to, behaviour) => behaviours.set(to, behaviour) }
}
