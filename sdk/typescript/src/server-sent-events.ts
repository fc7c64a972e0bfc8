/** Reads server-sent events (WHATWG HTML, "Server-sent events") as they come. */

/** An event of a stream. */
export interface ServerSentEvent {
  /** `message` unless the server names another. */
  readonly type: string
  readonly data: string
  /** Of the last event that had one; empty: none had. */
  readonly id: string
}

/** Longest that an event, or a line, may be: what is longer is not from an Obol server. */
const MAX_CHARACTERS = 4_194_304

/** Takes text in pieces of any size, and gives each event once its last line is there. */
export class EventReader {
  #rest = ''
  #type = ''
  #data: string[] = []
  #length = 0
  #id = ''

  /** The events that are whole with this text. Throws RangeError for one that is too long. */
  read(text: string): ServerSentEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAX_CHARACTERS) throw new RangeError('a line has no end')
    return lines.flatMap((line) => this.#take(line) ?? [])
  }

  #take(line: string): ServerSentEvent | null {
    if (line === '') return this.#end()
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? []
    if (name === 'event') this.#type = value
    if (name === 'id' && !value.includes('\0')) this.#id = value
    if (name === 'data') this.#data.push(value)
    this.#length += value.length
    if (this.#length > MAX_CHARACTERS) throw new RangeError('an event has no end')
    return null
  }

  #end(): ServerSentEvent | null {
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), id: this.#id }
    const isEmpty = this.#data.length === 0
    this.#type = ''
    this.#data = []
    this.#length = 0
    return isEmpty ? null : event
  }
}
