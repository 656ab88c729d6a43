import { pipeline, type Readable, Transform } from 'node:stream'

/**
 * The same stream, but that its last bytes wait for `release`: whoever has read it to its end knows that what came
 * with it holds. If `release` rejects, the stream breaks off instead.
 */
export function heldBack(source: Readable, release: () => Promise<void>): Readable {
  const held: { chunk: unknown; encoding: BufferEncoding }[] = []
  const hold = new Transform({
    writableObjectMode: source.readableObjectMode,
    readableObjectMode: source.readableObjectMode,
    transform(chunk: unknown, encoding, done) {
      if (!isEmpty(chunk)) for (const one of held.splice(0)) this.push(one.chunk, one.encoding)
      held.push({ chunk, encoding })
      done()
    },
    flush(done) {
      release().then(() => {
        for (const one of held.splice(0)) this.push(one.chunk, one.encoding)
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
  const held: Chunk[] = []
  return source.pipeThrough(
    new TransformStream<Chunk, Chunk>({
      transform(chunk, controller) {
        if (!isEmpty(chunk)) for (const one of held.splice(0)) controller.enqueue(one)
        held.push(chunk)
      },
      async flush(controller) {
        await release()
        for (const one of held.splice(0)) controller.enqueue(one)
      }
    })
  )
}

/** To hold back what has no bytes holds back nothing: with a Content-Length the reply would be complete without it. */
function isEmpty(chunk: unknown): boolean {
  if (typeof chunk === 'string') return chunk === ''
  return ArrayBuffer.isView(chunk) && chunk.byteLength === 0
}
