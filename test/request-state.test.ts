import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import {
  kReply,
  kScope,
  kStartedAt,
  type RequestState,
  scopeOf,
  stateOf
} from '../src/request-state.js'

/** As much of a request as is looked at. */
function requestWith(state: Partial<RequestState>, routeOptions = {}): FastifyRequest {
  const nothing = { [kScope]: null, [kReply]: null, [kStartedAt]: null }
  const request = { method: 'GET', routeOptions: { config: {}, ...routeOptions } }
  return Object.assign(request, nothing, state) as unknown as FastifyRequest
}

function replyWith(raw: { closed: boolean; sent?: boolean }): FastifyReply {
  const listeners: (() => void)[] = []
  const response = {
    writableEnded: false,
    destroyed: false,
    on: (_: string, listener: () => void) => listeners.push(listener),
    destroy: () => {},
    ...raw
  }
  return { raw: response, sent: raw.sent ?? false } as unknown as FastifyReply
}

t.test('a request has one scope, from the first time that it is asked for', async t => {
  const request = requestWith({})
  const scope = scopeOf(request)
  t.equal(stateOf(request)[kScope], scope)
  t.equal(scopeOf(request), scope)
})

t.test('it follows the route', async t => {
  const request = requestWith({}, { config: { db: { transaction: true } } })
  t.equal(scopeOf(request).hasTransaction, true)
  t.equal(scopeOf(requestWith({})).hasTransaction, false)
})

t.test('asked for when the reply is closed already, it is over', async t => {
  const request = requestWith({ [kReply]: replyWith({ closed: true }) })
  const engine = {
    connection: () => ({
      end: () => t.pass('its connections are ended as they are made'),
      abort() {}
    })
  }
  t.plan(1)
  scopeOf(request).connection(engine as never)
})

t.test('its deadline counts from its arrival, and not at all where there is none', async t => {
  const deadlines: unknown[] = []
  const engine = {
    connection: (_ledger: unknown, _is: boolean, _ro: unknown, deadline?: () => unknown) => {
      deadlines.push(deadline?.())
      return {}
    }
  }
  const limited = { config: { db: { timeout: 2 } } }
  scopeOf(requestWith({ [kStartedAt]: 1000 }, limited)).connection(engine as never)
  scopeOf(requestWith({ [kStartedAt]: 1000 }, { handlerTimeout: 500 })).connection(engine as never)
  scopeOf(requestWith({ [kStartedAt]: 1000 })).connection(engine as never)
  t.same(deadlines, [2900, 1500, undefined])
})

t.test('Fastify’s own limit does not count for a reply that is hijacked', async t => {
  const reply = replyWith({ closed: false, sent: true })
  const request = requestWith({ [kStartedAt]: 1000, [kReply]: reply }, { handlerTimeout: 500 })
  let deadline: unknown = 'not asked'
  const engine = {
    connection: (_ledger: unknown, _is: boolean, _ro: unknown, of?: () => unknown) => {
      deadline = of?.()
      return {}
    }
  }
  scopeOf(request).connection(engine as never)
  t.equal(deadline, undefined)
})
