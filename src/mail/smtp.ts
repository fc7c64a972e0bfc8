/** Hands e-mails to an SMTP server. */

import { createTransport } from 'nodemailer'

/** An e-mail to one address. */
export interface Letter {
  /** The same for whatever tells of the same news: a mailbox that gets it twice can see that. */
  readonly id: string
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** Where e-mails are handed over, and whom they are from. */
export interface SmtpSettings {
  /** `smtp://` or, where all is encrypted from the beginning, `smtps://`; with name and password if the server asks for them. */
  readonly url: string
  readonly from: string
  /** How long the server may say nothing. */
  readonly silenceMs?: number
}

/** Thrown when a letter was not taken: `isFinal` says that it never will be. */
export class LetterRefusedError extends Error {
  override readonly name = 'LetterRefusedError'
  readonly isFinal: boolean

  constructor(message: string, { cause, isFinal }: { readonly cause: unknown; readonly isFinal: boolean }) {
    super(message, { cause })
    this.isFinal = isFinal
  }
}

const DEFAULT_SILENCE_MS = 15_000
/** Servers on this machine may be told a password without encryption. */
const LOCAL = new Set(['localhost', '127.0.0.1', '[::1]'])

/** An SMTP server. Each letter has a connection of its own: alerts are rare. */
export class Smtp {
  readonly #transport: ReturnType<typeof createTransport>
  readonly #from: string

  constructor({ url, from, silenceMs = DEFAULT_SILENCE_MS }: SmtpSettings) {
    const { protocol, hostname, port, username, password } = new URL(url)
    const isSecure = protocol === 'smtps:'
    this.#from = from
    this.#transport = createTransport({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (isSecure ? 465 : 587) : Number(port),
      secure: isSecure,
      requireTLS: username !== '' && !LOCAL.has(hostname),
      ...(username === '' ? {} : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      connectionTimeout: silenceMs,
      greetingTimeout: silenceMs,
      socketTimeout: silenceMs,
      dnsTimeout: silenceMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  }

  /** Resolves once the server has taken the letter on. Rejects with LetterRefusedError. */
  async send({ id, to, subject, text }: Letter): Promise<void> {
    const domain = this.#from.replace(/^.*@/, '').replace(/[^A-Za-z0-9.-].*$/, '')
    try {
      await this.#transport.sendMail({
        from: this.#from,
        // As an object, so that no part of an address is read as another one.
        to: { name: '', address: to },
        subject,
        text,
        messageId: `<${id}@${domain}>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
      })
    } catch (cause) {
      throw new LetterRefusedError(reasonOf(cause), { cause, isFinal: isFinal(cause) })
    }
  }
}

interface SmtpFault {
  readonly code?: string
  readonly responseCode?: number
  readonly command?: string
}

function faultOf(cause: unknown): SmtpFault {
  return cause instanceof Error ? (cause as SmtpFault) : {}
}

/** What the server said, without addresses: it is logged. */
function reasonOf(cause: unknown): string {
  const { code = 'the letter was not taken', responseCode, command } = faultOf(cause)
  return [code, responseCode, command].filter((part) => part !== undefined).join(' ')
}

/** An answer of the five hundreds about this address or this letter. That a name or password is wrong can be mended. */
function isFinal(cause: unknown): boolean {
  const { code, responseCode = 0 } = faultOf(cause)
  return (code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode >= 500
}
