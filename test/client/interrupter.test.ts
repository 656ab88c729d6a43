import t from 'tap'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart } from '../../src/client/parts.js'
import { QueryPart } from '../../src/client/query-part.js'
import { type Clock, systemClock } from '../../src/clock.js'
import { openClient, run } from '../fixtures/open-client.js'
import { openEngine, until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'

const postgres = await startPostgres(t)
const reason = new Error('not needed any more')
const canceled = { code: '57014' }
const SLEEP = "select pg_sleep(60), 'asleep'"
const asleep = { where: "query like '%asleep%' and state = 'active'" }

function query(text: string): Exchange {
  return new Exchange([new QueryPart({ text }, undefined)], () => {})
}

t.test('what runs is cancelled, and the session serves on', async t => {
  const client = await openClient(t, postgres.url)
  const running = run(client, SLEEP)
  await postgres.untilBackends(asleep)
  client.interrupt(reason)
  await t.rejects(running, canceled)
  t.match(await run(client, 'select 1 x'), { rows: [{ x: 1 }] })
})

t.test('nothing is sent before the cancel request can no longer strike it', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url))
  const running = run(client, SLEEP)
  await postgres.untilBackends(asleep)
  // The server gets the request and acts on it, but its closing of the socket does not come through.
  proxy.onConnection(connection => connection.freeze('toClient'))
  client.interrupt(reason)
  await t.rejects(running, canceled)
  t.equal(client.isReady, false)
  let isAnswered = false
  const next = run(client, "select 'next' x").then(result => {
    isAnswered = true
    return result
  })
  t.strictSame(await postgres.backends({ where: "query like '%next%'" }), [])
  t.equal(isAnswered, false)
  for (const connection of proxy.connections()) connection.thaw('both')
  t.match(await next, { rows: [{ x: 'next' }] })
})

t.test('what waits is refused, and never sent', async t => {
  const client = await openClient(t, postgres.url)
  const running = run(client, SLEEP)
  let submitted = 0
  const count = () => {
    submitted += 1
  }
  const waiting = run(client, 'select 2', undefined, count)
  await postgres.untilBackends(asleep)
  const settled = Promise.allSettled([running, waiting])
  client.interrupt(reason)
  t.match(await settled, [{ reason: canceled }, { reason }])
  t.equal(submitted, 0)
})

t.test('of one query: out of the line, or cancelled, or over already', async t => {
  const client = await openClient(t, postgres.url)
  const [running, waiting] = [query(SLEEP), query('select 2')]
  const settled = Promise.allSettled([client.run(running), client.run(waiting)])
  await postgres.untilBackends(asleep)
  client.interrupt(reason, waiting)
  t.equal((await postgres.backends(asleep)).length, 1, 'the one before it goes on')
  client.interrupt(reason, running)
  t.match(await settled, [{ reason: canceled }, { reason }])
  client.interrupt(reason, running)
  client.interrupt(reason)
  await until(() => client.isReady)
  t.match(await run(client, 'select 3 x'), { rows: [{ x: 3 }] })
})

t.test('where no cancel request gets through, the session is given up', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url))
  const running = run(client, SLEEP)
  await postgres.untilBackends(asleep)
  proxy.refuse()
  client.interrupt(reason)
  await t.rejects(running, { name: 'CancelError' })
  t.match(client.lost, { name: 'CancelError', cause: { code: 'ECONNREFUSED' } })
  await postgres.terminateBackends(asleep)
})

t.test('nor is it kept for a server that does not answer a cancel request', async t => {
  const proxy = await startProxy(t, postgres)
  const delays: number[] = []
  const setTimer: Clock['setTimer'] = (ms, ...rest) => {
    delays.push(ms)
    return systemClock.setTimer(ms, ...rest)
  }
  const clock = { ...systemClock, setTimer }
  const client = await openClient(t, proxy.url(postgres.url), { clock })
  const running = run(client, SLEEP)
  await postgres.untilBackends(asleep)
  await proxy.blackhole()
  delays.length = 0
  client.interrupt(reason)
  await t.rejects(running, { name: 'CancelError' })
  t.ok(Math.max(...delays) <= 1000, `${delays}`)
  await postgres.terminateBackends(asleep)
})

t.test('the engine replaces that one client, and no other', async t => {
  const proxy = await startProxy(t, postgres)
  const { engine } = openEngine(t, proxy.url(postgres.url), { pool_size: 2, max_overflow: 0 })
  const stop = new AbortController()
  const running = engine.query({ text: SLEEP, signal: stop.signal })
  await postgres.untilBackends(asleep)
  proxy.refuse()
  const lost = new Promise(resolve => engine.on('close', resolve))
  stop.abort(reason)
  await t.rejects(running)
  t.match(await lost, { reason: 'error', error: { name: 'CancelError' } })
  t.equal(engine.status().generation, 0)
  await postgres.terminateBackends(asleep)
})

t.test('a ROLLBACK, which undoes everything, is left to do so', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url))
  await client.run(new Exchange([new ControlPart('BEGIN')], () => {}))
  let connections = 0
  proxy.onConnection(() => {
    connections += 1
  })
  const rollback = client.run(new Exchange([new ControlPart('ROLLBACK')], () => {}))
  const waiting = run(client, 'select 1')
  client.interrupt(reason)
  await t.rejects(waiting, reason)
  await rollback
  t.equal(client.isInTransaction, false)
  t.match(await run(client, 'select 1 x'), { rows: [{ x: 1 }] })
  t.equal(connections, 0, 'nothing was asked for')
})
