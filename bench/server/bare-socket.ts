import type { Socket } from 'node:net'
import pg from 'pg'
import type { Wire } from '../../src/client/wire.js'

const NAME = 'read'

interface Item {
  readonly id: number
  readonly name: string
}

/**
 * What is left if nothing is done that the measured statement does not need: one message written at once, two columns read
 * out of one packet, no error, no second statement. A client that can do more can at best come near to it.
 */
export class BareSocket {
  readonly #socket: Socket
  #onItem: (item: Item) => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.removeAllListeners('data')
    socket.on('data', packet => this.#onItem(itemIn(packet)))
  }

  /** Connects as `pg` does, and prepares the one statement that it can run from then on. */
  static async connect(url: string, text: string): Promise<BareSocket> {
    const client = new pg.Client(url)
    await client.connect()
    await client.query({ name: NAME, text, values: [1] })
    const { stream } = client.connection as unknown as Wire
    return new BareSocket(stream as unknown as Socket)
  }

  read(id: number): Promise<Item> {
    const promise = new Promise<Item>(resolve => {
      this.#onItem = resolve
    })
    this.#socket.write(bindAndExecute(String(id)))
    return promise
  }

  end(): void {
    this.#socket.destroy()
  }
}

const BIND = 'B'.charCodeAt(0)
const DATA_ROW = 'D'.charCodeAt(0)
const BIND_BEFORE_VALUE = Buffer.from(`\0${NAME}\0\0\0\0\x01`, 'latin1')
/** No result formats; then Execute of all rows, and Sync. */
const BEHIND_VALUE = Buffer.from('\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04', 'latin1')
const RESULT_FORMATS = 2

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
function bindAndExecute(value: string): Buffer {
  const bindLength = 4 + BIND_BEFORE_VALUE.length + 4 + value.length + RESULT_FORMATS
  const messages = Buffer.allocUnsafe(1 + bindLength - RESULT_FORMATS + BEHIND_VALUE.length)
  messages[0] = BIND
  let at = messages.writeInt32BE(bindLength, 1)
  at += BIND_BEFORE_VALUE.copy(messages, at)
  at = messages.writeInt32BE(value.length, at)
  at += messages.write(value, at, 'latin1')
  BEHIND_VALUE.copy(messages, at)
  return messages
}

function itemIn(packet: Buffer): Item {
  for (let at = 0; at < packet.length; at += 1 + packet.readInt32BE(at + 1)) {
    if (packet[at] === DATA_ROW) return itemOf(packet, at + 7)
  }
  throw new Error('Expected a row in each packet')
}

/** Its two columns, each behind its length. */
function itemOf(packet: Buffer, start: number): Item {
  const nameAt = start + 4 + packet.readInt32BE(start)
  const id = Number(packet.toString('latin1', start + 4, nameAt))
  const nameLength = packet.readInt32BE(nameAt)
  return { id, name: packet.toString('utf8', nameAt + 4, nameAt + 4 + nameLength) }
}
