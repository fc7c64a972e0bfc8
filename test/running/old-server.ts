/** A server that speaks PostgreSQL's protocol and says that it is another version: those that are too old to be tried out are not at hand. */

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Text of a row, by column: what the server says of itself. */
type Row = Readonly<Record<string, string>>

const TEXT_OID = 25

/** Starts one that answers every query with one row; gives its URL. It ends with the test. */
export async function startOldServer(t: TestContext, row: Row): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    let isStarted = false
    socket.on('data', (data) => {
      if (isStarted) answer(socket, data, row)
      else socket.write(Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))]))
      isStarted = true
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return `postgres://obol@127.0.0.1:${typeof address === 'object' ? address?.port : ''}/obol`
}

function answer(socket: Socket, data: Buffer, row: Row): void {
  if (data.toString('latin1', 0, 1) === 'X') socket.end()
  else {
    const names = Object.keys(row).map((name) =>
      Buffer.concat([text(name), int32(0), int16(0), int32(TEXT_OID), int16(-1), int32(-1), int16(0)]),
    )
    const values = Object.values(row).map((value) => Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]))
    const answers = [
      message('T', int16(names.length), ...names),
      message('D', int16(values.length), ...values),
      message('C', text('SELECT 1')),
      message('Z', Buffer.from('I')),
    ]
    socket.write(Buffer.concat(answers))
  }
}

function message(kind: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body])
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
