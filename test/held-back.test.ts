import { PassThrough, Readable, Stream } from 'node:stream'
import { finished } from 'node:stream/promises'
import t from 'tap'
import { heldBack, heldBackWeb } from '../src/held-back.js'

/** A promise and what settles it. */
function gate() {
  let open = () => {}
  let fail = (_error: Error) => {}
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { passed, open, fail }
}

/** Reads to the end, or to where it breaks off. */
async function read(stream: AsyncIterable<unknown>): Promise<{ chunks: string[]; error: unknown }> {
  const chunks: string[] = []
  try {
    for await (const chunk of stream) chunks.push(String(chunk))
    return { chunks, error: undefined }
  } catch (error) {
    return { chunks, error }
  }
}

function nextChunk(stream: Readable): Promise<string> {
  return new Promise(resolve => stream.once('data', chunk => resolve(String(chunk))))
}

const SOURCES = { nothing: [], 'one chunk': ['a'], 'three chunks': ['a', 'b', 'c'] }

t.test('all of a stream arrives, once it is released', async t => {
  for (const [what, chunks] of Object.entries(SOURCES)) {
    let releases = 0
    const release = async () => {
      releases += 1
    }
    t.strictSame(await read(heldBack(Readable.from(chunks), release)), { chunks, error: undefined })
    const web = heldBackWeb(ReadableStream.from(chunks), release)
    t.strictSame(await read(web), { chunks, error: undefined }, what)
    t.equal(releases, 2, what)
  }
})

t.test('many chunks arrive in order, whatever their size', async t => {
  const chunks = Array.from({ length: 1000 }, (_, i) => `${i},`.repeat(50))
  const { chunks: got } = await read(heldBack(Readable.from(chunks), async () => {}))
  t.equal(got.join(''), chunks.join(''))
  const web = await read(heldBackWeb(ReadableStream.from(chunks), async () => {}))
  t.strictSame(web.chunks, chunks)
})

t.test('bytes and letters come through as they are', async t => {
  const bytes = Buffer.from([0, 255, 128, 10])
  const [got] = await heldBack(
    Readable.from([bytes], { objectMode: false }),
    async () => {}
  ).toArray()
  t.strictSame(got, bytes)
  const text = new PassThrough({ encoding: 'utf8' })
  text.end(Buffer.from('größe'))
  const { chunks } = await read(heldBack(text, async () => {}))
  t.strictSame(chunks, ['größe'])
})

t.test('objects come through as they are', async t => {
  const objects = [{ a: 1 }, 0, '', false, { b: [2] }]
  const stream = heldBack(Readable.from(objects), async () => {})
  t.equal(stream.readableObjectMode, true)
  t.strictSame(await stream.toArray(), objects)
  t.strictSame(await heldBack(Readable.from([{ a: 1 }]), async () => {}).toArray(), [{ a: 1 }])
})

t.test('the last chunk waits until it is released, the ones before it do not', async t => {
  const { passed, open } = gate()
  const source = new PassThrough({ objectMode: true })
  const isReleased = gate()
  const stream = heldBack(source, () => {
    isReleased.open()
    return passed
  })
  source.write('a')
  source.write('b')
  t.equal(await nextChunk(stream), 'a')
  source.end()
  await isReleased.passed
  t.equal(stream.read(), null, 'b is held back')
  const last = nextChunk(stream)
  open()
  t.equal(await last, 'b')
  await finished(stream)
})

t.test('the last chunk of a web stream waits too', async t => {
  const { passed, open } = gate()
  const asked = gate()
  const reader = heldBackWeb(ReadableStream.from(['a', 'b']), () => {
    asked.open()
    return passed
  }).getReader()
  t.equal((await reader.read()).value, 'a')
  let isThere = false
  const last = reader.read().then(({ value }) => {
    isThere = true
    return value
  })
  await asked.passed
  t.equal(isThere, false)
  open()
  t.equal(await last, 'b')
  t.equal((await reader.read()).done, true)
})

t.test('a stream that is not released breaks off, without its last chunk', async t => {
  const reason = new Error('COMMIT failed')
  for (const [what, chunks] of Object.entries(SOURCES)) {
    const release = () => Promise.reject(reason)
    const broken = await read(heldBack(Readable.from(chunks), release))
    t.equal(broken.error, reason, what)
    // What it had read ahead goes with it.
    t.strictSame(broken.chunks, chunks.slice(0, -1).slice(0, broken.chunks.length), what)
    const brokenWeb = await read(heldBackWeb(ReadableStream.from(chunks), release))
    t.strictSame(brokenWeb, { chunks: chunks.slice(0, -1), error: reason }, what)
  }
})

t.test('a source that fails breaks it off, and nothing is released', async t => {
  const reason = new Error('the source failed')
  async function* failing() {
    yield 'a'
    yield 'b'
    throw reason
  }
  const release = () => Promise.reject(new RangeError('it was not to be'))
  t.equal((await read(heldBack(Readable.from(failing()), release))).error, reason)
  const { error } = await read(heldBackWeb(ReadableStream.from(failing()), release))
  t.equal(error, reason)
})

t.test('a source that ends before its end breaks it off too', async t => {
  const source = new PassThrough()
  const stream = heldBack(source, () => Promise.reject(new RangeError('it was not to be')))
  source.write('a')
  const reading = read(stream)
  source.destroy()
  const { chunks, error } = await reading
  t.strictSame(chunks, [])
  t.match(error, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
})

t.test('a reader that leaves takes the source along, and nothing is released', async t => {
  const release = () => Promise.reject(new RangeError('it was not to be'))
  const source = new PassThrough()
  const stream = heldBack(source, release)
  source.write('a')
  source.write('b')
  await nextChunk(stream)
  stream.destroy()
  await finished(source).catch(() => {})
  t.equal(source.destroyed, true)

  let isCancelled = false
  const web = new ReadableStream({
    pull: controller => controller.enqueue('a'),
    cancel: () => {
      isCancelled = true
    }
  })
  const reader = heldBackWeb(web, release).getReader()
  await reader.read()
  await reader.cancel()
  t.equal(isCancelled, true)
})

t.test('a reader that leaves while it is released hurts nobody', async t => {
  const { passed, open } = gate()
  const asked = gate()
  const stream = heldBack(Readable.from(['a']), () => {
    asked.open()
    return passed
  })
  stream.resume()
  await asked.passed
  const closed = new Promise(resolve => stream.once('close', resolve))
  stream.destroy()
  await closed
  open()
  await passed
  t.equal(stream.destroyed, true)
})

t.test('a stream of the old kind, which cannot be destroyed, is one too', async t => {
  const old = new Stream()
  const stream = heldBack(old as Readable, async () => {})
  const reading = read(stream)
  old.emit('data', 'a')
  old.emit('data', 'b')
  old.emit('end')
  const { chunks, error } = await reading
  t.equal(chunks.join(''), 'ab')
  t.equal(error, undefined)
})

t.test('an empty chunk at the end is not what is held back', async t => {
  const { fail, passed } = gate()
  const chunks = ['a', 'b', '', '']
  const streams = [
    heldBack(Readable.from(chunks), () => passed),
    heldBackWeb(ReadableStream.from(chunks), () => passed),
    heldBackWeb(ReadableStream.from(chunks.map(text => Buffer.from(text))), () => passed)
  ]
  const reading = streams.map(stream => read(stream as AsyncIterable<unknown>))
  fail(new RangeError())
  for (const { chunks, error } of await Promise.all(reading)) {
    t.notOk(chunks.includes('b'), 'its last bytes did not arrive')
    t.type(error, RangeError)
  }
})
