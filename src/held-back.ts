import { pipeline, type Readable, Transform } from 'node:stream'

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
  // Whatever ends one of them ends the other; who reads it hears of an error, and nobody else needs to.
  return pipeline(source, hold, () => {})
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
