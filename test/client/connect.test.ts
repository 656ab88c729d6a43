import { getEventListeners, once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { ClientBase } from 'pg'
import t from 'tap'
import { freePort } from '../../example-app/free-port.js'
import { named } from '../fixtures/app.js'
import { FakeClock } from '../fixtures/fake-clock.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { cutAfter } from '../fixtures/wire.js'

const postgres = await startPostgres(t)

const never = () => new Promise<never>(() => {})

/** Resolves when the server has no session under the name any more. */
async function untilGone(applicationName: string): Promise<void> {
  while ((await postgres.backends({ applicationName })).length > 0);
}

t.test('X08: a server that accepts and never answers fails the attempt in time', async t => {
  const proxy = await startProxy(t, postgres)
  await proxy.blackhole()
  const clock = new FakeClock()
  const accepted = new Promise<Socket>(resolve => {
    proxy.onConnection(({ client }) => resolve(client))
  })
  const attempt = t.rejects(
    openClient(t, proxy.url(postgres.url), { clock, connectTimeout: 5000 }),
    {
      code: 'ETIMEDOUT',
      syscall: 'connect'
    }
  )
  const socket = await accepted
  const ended = once(socket, 'end')
  await clock.advance(4999)
  t.equal(socket.readableEnded, false)
  await clock.advance(1)
  await attempt
  await ended
  t.same(clock.pending, { foreground: 0, background: 0 })
})

t.test(
  'a server that is not there, or refuses us, fails the attempt with its own error',
  async t => {
    const port = await freePort()
    await t.rejects(openClient(t, `postgres://u@127.0.0.1:${port}/d`), { code: 'ECONNREFUSED' })
    const url = new URL(postgres.url)
    url.password = 'wrong'
    await t.rejects(openClient(t, url.href), { code: '28P01' })
    url.href = postgres.url
    url.pathname = 'nowhere'
    await t.rejects(openClient(t, url.href), { code: '3D000' })
    await t.rejects(openClient(t, 'postgres://u@no-such-host.invalid/d'), {
      code: /ENOTFOUND|EAI_AGAIN/
    })
  }
)

t.test('a peer that speaks another protocol fails the attempt, and not the process', async t => {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await t.rejects(openClient(t, `postgres://u@127.0.0.1:${port}/d`))
})

t.test(
  'a preparation that hangs is part of the attempt: it ends in time, and the session too',
  async t => {
    const clock = new FakeClock()
    let prepared: (raw: ClientBase) => void = () => {}
    const isPreparing = new Promise<ClientBase>(resolve => {
      prepared = resolve
    })
    const attempt = t.rejects(
      openClient(t, named(postgres.url, 'hangs'), {
        clock,
        prepare: async raw => {
          prepared(raw)
          await never()
        }
      }),
      { code: 'ETIMEDOUT' }
    )
    const raw = await isPreparing
    const ended = once(raw, 'end')
    await clock.advance(30_000)
    await attempt
    await ended
    await untilGone('hangs')
  }
)

t.test('a preparation that hangs in a statement is cut off', async t => {
  const clock = new FakeClock()
  const proxy = await startProxy(t, postgres)
  const attempt = t.rejects(
    openClient(t, proxy.url(named(postgres.url, 'sleeps')), {
      clock,
      prepare: async raw => {
        await raw.query('select pg_sleep(60)')
      }
    }),
    { code: 'ETIMEDOUT' }
  )
  const [backend] = await postgres.untilBackends({
    applicationName: 'sleeps',
    where: "wait_event = 'PgSleep'"
  })
  await clock.advance(30_000)
  await attempt
  await postgres.terminateBackends({ pids: [backend!.pid] })
})

t.test(
  'X14: what a preparation throws is what the attempt fails with, and its session ends',
  async t => {
    const reason = new Error('Not this one')
    const prepare = () => Promise.reject(reason)
    await t.rejects(openClient(t, named(postgres.url, 'throws'), { prepare }), reason)
    await untilGone('throws')
    const failing = async (raw: ClientBase) => {
      await raw.query('select * from no_such_table')
    }
    await t.rejects(openClient(t, named(postgres.url, 'throws'), { prepare: failing }), {
      code: '42P01'
    })
    await untilGone('throws')
  }
)

t.test(
  'a session that dies during its preparation is given to nobody, though none noticed',
  async t => {
    const losses: unknown[] = []
    const prepare = async (raw: ClientBase) => {
      await raw.query('select pg_terminate_backend(pg_backend_pid())').catch(() => {})
      await once(raw, 'end')
    }
    const attempt = openClient(t, postgres.url, { prepare, onLost: error => losses.push(error) })
    await t.rejects(attempt, /terminat/)
    t.ok(losses.length <= 1)
  }
)

t.test(
  'a signal calls the attempt off, before it, at the login and while it is prepared',
  async t => {
    const reason = new Error('Nobody waits any more')
    const proxy = await startProxy(t, postgres)
    const url = proxy.url(named(postgres.url, 'aborted'))

    await t.rejects(openClient(t, url, { signal: AbortSignal.abort(reason) }), reason)
    t.equal(proxy.connects, 0, 'it did not begin')

    const atLogin = new AbortController()
    proxy.onConnection(() => atLogin.abort(reason))
    await t.rejects(openClient(t, url, { signal: atLogin.signal }), reason)

    const inPreparation = new AbortController()
    const prepare = async () => {
      inPreparation.abort(reason)
      await never()
    }
    await t.rejects(openClient(t, url, { signal: inPreparation.signal, prepare }), reason)
    await untilGone('aborted')
  }
)

t.test('once it is open, a session has nothing to do with its attempt any more', async t => {
  const clock = new FakeClock()
  const caller = new AbortController()
  const client = await openClient(t, postgres.url, { clock, signal: caller.signal })
  t.same(clock.pending, { foreground: 0, background: 0 })
  t.equal(getEventListeners(caller.signal, 'abort').length, 0)
  caller.abort()
  await clock.advance(60_000)
  t.equal((await run(client, 'select 1 x')).rowCount, 1)
})

t.test('a login cut off anywhere fails the attempt, with a deadline or without', async t => {
  for (const limit of [1, 2, 3, 4, 5, 10]) {
    const proxy = await startProxy(t, postgres)
    cutAfter(proxy, limit, connection => connection.cut(limit % 2 === 0 ? 'fin' : 'rst'))
    await t.rejects(openClient(t, proxy.url(postgres.url)), `behind message ${limit}`)
  }
})
