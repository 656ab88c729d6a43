import t from 'tap'
import type { Client } from '../src/client/client.js'
import { Failure } from '../src/failure.js'
import { Ledger } from '../src/ledger.js'
import { Verification } from '../src/pool/checkout.js'
import type { Lease } from '../src/pool/slot.js'
import { SessionFailures } from '../src/session-failures.js'
import type { SessionHost } from '../src/session-host.js'
import { StopSign } from '../src/stop-sign.js'

const OF_STATEMENT = { failure: 'statement', scope: 'none' }
const DISCONNECT = { failure: 'disconnect', scope: 'generation' }
const READ_ONLY = { failure: 'read_only', scope: 'client' }

/** A session that holds a client, and a log of what a failure costs it; errors are told by their message. */
function failing(verdicts: Record<string, object> = {}) {
  const log: string[] = []
  const client = { lost: undefined as unknown }
  const lease = { client, generation: 7, isUnverified: false }
  const judge = (error: Error, phase: string) => {
    log.push(`judge ${error.message} at ${phase}`)
    return verdicts[error.message] ?? OF_STATEMENT
  }
  const host = {
    pool: {
      invalidate: (_error: unknown, generation: number) => log.push(`invalidate ${generation}`),
      verificationFailed: () => {
        log.push('verification failed')
        return DISCONNECT
      }
    },
    judge,
    explain: (error: Error, _verdict: object, _ledger: Ledger, context: { statement?: string }) =>
      error.message === 'own' ? error : new Error(`${error.message} of ${context.statement}`)
  }
  const session = {
    lease: lease as unknown as Lease<Client> | undefined,
    stop: new StopSign({ now: () => 0, setTimer: () => ({ cancel() {} }) }),
    giveUp: () => log.push('give up'),
    giveUpSoftly: () => log.push('give up softly'),
    lost: () => log.push('lost')
  }
  const failures = new SessionFailures(host as unknown as SessionHost, new Ledger(), session)
  return { client, failures, lease: lease as unknown as Lease<Client>, log, session }
}

t.test('an error costs what the verdict says', async t => {
  const softly = ['judge softly at statement', 'give up softly']
  const hard = ['judge hard at statement', 'invalidate 7', 'give up']
  for (const [message, log] of [
    ['none', ['judge none at statement']],
    ['softly', softly],
    ['hard', hard]
  ] as const) {
    const scene = failing({ softly: READ_ONLY, hard: DISCONNECT })
    const failure = scene.failures.of(scene.lease, new Error(message), {})
    t.match(failure, { error: { message }, phase: 'statement' })
    t.same(scene.log, log)
  }
})

t.test('an error on a client that is not held any more costs nothing more', async t => {
  const scene = failing({ hard: DISCONNECT })
  scene.session.lease = undefined
  t.type(scene.failures.of(scene.lease, new Error('hard'), {}), Failure)
  t.same(scene.log, ['judge hard at statement'])
})

t.test('a client that is lost is given up, whatever the error says', async t => {
  const scene = failing()
  scene.client.lost = new Error('gone')
  scene.failures.judge(scene.client as Client, new Error('any'))
  t.same(scene.log, ['judge any at statement', 'give up'])
})

t.test('where READ ONLY was asked for, its refusal says nothing about the server', async t => {
  const scene = failing({ refused: READ_ONLY })
  const failure = scene.failures.of(scene.lease, new Error('refused'), { isReadOnly: true })
  t.match(failure, { verdict: OF_STATEMENT })
  t.same(scene.log, ['judge refused at statement'])
})

t.test('what was judged is not judged again, and what was called off is no failure', async t => {
  const scene = failing()
  const judged = new Failure(new Error('other'), OF_STATEMENT as Failure['verdict'], 'connect')
  t.equal(scene.failures.of(scene.lease, judged, {}), judged)
  const reason = new Error('left')
  const use = { signals: [AbortSignal.abort(reason)] }
  t.equal(scene.failures.of(scene.lease, reason, use), reason)
  t.same(scene.log, [])
  scene.client.lost = new Error('gone')
  t.equal(scene.failures.of(scene.lease, reason, use), reason)
  t.same(scene.log, ['judge left at statement', 'give up'], 'it has cost the client')
})

t.test('a client that was dead when it was lent is replaced as after a failed ping', async t => {
  const scene = failing({ dead: DISCONNECT })
  const verification = new Verification()
  Object.assign(scene.lease, { isUnverified: true })
  scene.client.lost = new Error('dead')
  t.match(scene.failures.of(scene.lease, scene.client.lost, { verification }), { phase: 'ping' })
  t.same(scene.log, ['lost', 'verification failed'])
  scene.session.lease = undefined
  t.match(scene.failures.of(scene.lease, scene.client.lost, { verification }), { phase: 'ping' })
  t.same(scene.log.slice(2), ['judge dead at ping'], 'the consequences are drawn once')
  t.equal(verification.tries, 1)
})

t.test('a failure is told as the application is to see it, anything else as it is', async t => {
  const { failures } = failing()
  const failureOf = (message: string) =>
    new Failure(new Error(message), OF_STATEMENT as Failure['verdict'], 'statement')
  t.match(failures.explain(failureOf('a'), 'select 1'), { message: 'a of select 1' })
  const reason = new Error('left')
  t.equal(failures.explain(reason, 'select 1'), reason)
  const own = failureOf('own')
  const { error } = own as { error: Error }
  error.stack = 'of a socket'
  t.equal(failures.explain(own, undefined), error)
  t.match(error.stack, /session-failures\.test/, 'it leads to whoever ran the statement')
})
