import { type Readable, Transform } from 'node:stream'

/**
 * The same stream, but that its last chunk waits for `release`: whoever has read it to its end knows that what came
 * with it holds. If `release` rejects, the stream breaks off instead.
 */
export function heldBack(source: Readable, release: () => Promise<void>): Readable {
  let held: { chunk: unknown; encoding: BufferEncoding } | undefined
  const hold = new Transform({
    writableObjectMode: source.readableObjectMode,
    readableObjectMode: source.readableObjectMode,
    transform(chunk: unknown, encoding, done) {
      if (held) this.push(held.chunk, held.encoding)
      held = { chunk, encoding }
      done()
    },
    flush(done) {
      release().then(() => {
        if (held) this.push(held.chunk, held.encoding)
        done()
      }, done)
    }
  })
  source.once('error', error => hold.destroy(error))
  hold.once('close', () => source.destroy())
  return source.pipe(hold)
}

/** As {@link heldBack}, for a web stream. */
export function heldBackWeb<Chunk>(
  source: ReadableStream<Chunk>,
  release: () => Promise<void>
): ReadableStream<Chunk> {
  let held: { chunk: Chunk } | undefined
  return source.pipeThrough(
    new TransformStream<Chunk, Chunk>({
      transform(chunk, controller) {
        if (held) controller.enqueue(held.chunk)
        held = { chunk }
      },
      async flush(controller) {
        await release()
        if (held) controller.enqueue(held.chunk)
      }
    })
  )
}
