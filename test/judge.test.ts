import type { ClientBase } from 'pg'
import t from 'tap'
import type { Client } from '../src/client/client.js'
import type { Phase } from '../src/disconnect.js'
import { OverloadedError, UnavailableError } from '../src/errors.js'
import { createJudge, type DisconnectContext, type IsDisconnect } from '../src/judge.js'

const raw = {} as ClientBase
const client = { raw } as unknown as Client

function error(code: string, severity = 'ERROR'): Error {
  return Object.assign(new Error('words'), { code, severity })
}

const REFUSED = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

/** A judge with this hook; what goes wrong in the hook must not go unnoticed. */
function judgeWith(hook: IsDisconnect | undefined) {
  return createJudge(hook, hookError => {
    throw hookError
  })
}

t.test('without a hook the table decides', async t => {
  const judge = judgeWith(undefined)
  t.strictSame(judge(error('57P01', 'FATAL'), 'statement', client), {
    failure: 'disconnect',
    scope: 'generation'
  })
  t.strictSame(judge(REFUSED, 'connect', undefined), { failure: 'unavailable', scope: 'none' })
  t.strictSame(judge(error('23505'), 'statement', client), { failure: 'statement', scope: 'none' })
})

t.test('E02: a hook that has no opinion changes nothing', async t => {
  const judge = judgeWith(() => undefined)
  const plain = judgeWith(undefined)
  for (const code of ['57P01', '57P05', '28P01', '40001', '25006', '23505']) {
    for (const severity of ['FATAL', 'ERROR']) {
      for (const phase of ['connect', 'ping', 'statement', 'reset', 'checkout', 'idle'] as const) {
        const failed = error(code, severity)
        t.strictSame(judge(failed, phase, client), plain(failed, phase, client))
      }
    }
  }
})

t.test('R38 E01 E25: a hook is told the error, the phase, the client and the verdict', async t => {
  const seen: [unknown, DisconnectContext][] = []
  const judge = judgeWith((error, context) => {
    seen.push([error, context])
    return undefined
  })
  const fatal = error('57P05', 'FATAL')
  judge(fatal, 'statement', client)
  judge(error('23505'), 'reset', client)
  judge(REFUSED, 'connect', undefined)
  t.equal(seen[0]?.[0], fatal)
  t.equal(seen[0]?.[1].client, raw)
  t.match(seen[0]?.[1], { phase: 'statement', disconnect: true, scope: 'client' })
  t.match(seen[1]?.[1], { phase: 'reset', disconnect: false, scope: 'none' })
  t.match(seen[2]?.[1], { phase: 'connect', scope: 'none' })
  t.equal(seen[2]?.[1].client, undefined, 'there is none yet')
})

t.test(
  'E09 R04: a hook can make a disconnect of what is none, and say how far it goes',
  async t => {
    const own = error('XX000')
    t.strictSame(judgeWith(() => true)(own, 'statement', client), {
      failure: 'disconnect',
      scope: 'generation'
    })
    for (const scope of ['client', 'generation'] as const) {
      t.strictSame(judgeWith(() => ({ disconnect: true, scope }))(own, 'statement', client), {
        failure: 'disconnect',
        scope
      })
    }
  }
)

t.test('E10 E11 E12: a hook can keep the others, or all of them', async t => {
  const fatal = error('57P01', 'FATAL')
  const verdict = (answer: ReturnType<IsDisconnect>) =>
    judgeWith(() => answer)(fatal, 'statement', client)
  t.match(verdict({ disconnect: true, scope: 'client' }), { scope: 'client' })
  t.match(verdict({ disconnect: true }), { scope: 'generation' })
  t.match(verdict(true), { scope: 'generation' })
  t.strictSame(verdict(false), { failure: 'statement', scope: 'none' })
  t.strictSame(verdict({ disconnect: false, scope: 'generation' }), verdict(false))
})

t.test('a disconnect that is confirmed keeps its scope', async t => {
  const judge = judgeWith(() => true)
  t.match(judge(error('57P05', 'FATAL'), 'statement', client), { scope: 'client' })
  t.match(judge(error('57P01', 'FATAL'), 'statement', client), { scope: 'generation' })
})

t.test('E29: a hook decides whether a failed connect is worth waiting for', async t => {
  const gone = error('28P01', 'FATAL')
  t.match(judgeWith(() => true)(gone, 'connect', undefined), {
    failure: 'unavailable',
    scope: 'none'
  })
  t.match(judgeWith(() => false)(REFUSED, 'connect', undefined), { failure: 'statement' })
})

t.test('a hook that denies a disconnect where none was seen overrides nothing', async t => {
  const denies = judgeWith(() => false)
  const plain = judgeWith(undefined)
  for (const code of ['40001', '40P01', '55P03', '25006']) {
    const failed = error(code)
    t.strictSame(denies(failed, 'statement', client), plain(failed, 'statement', client), code)
  }
  const refused = error('28P01', 'FATAL')
  t.strictSame(denies(refused, 'connect', undefined), plain(refused, 'connect', undefined))
})

t.test(
  'E23 E31: a hook is not asked about mistakes of programmers, nor about our errors',
  async t => {
    const judge = judgeWith(() => {
      throw new Error('was asked')
    })
    const ours = [new UnavailableError(), new OverloadedError()]
    for (const mistake of [new TypeError(), new RangeError(), new SyntaxError(), ...ours]) {
      for (const phase of ['connect', 'statement'] satisfies Phase[]) {
        t.strictSame(judge(mistake, phase, client), { failure: 'statement', scope: 'none' })
      }
    }
  }
)

t.test('a hook that throws is reported, and overrides nothing', async t => {
  const mistake = new Error('mistake')
  const reported: unknown[] = []
  const judge = createJudge(
    () => {
      throw mistake
    },
    hookError => reported.push(hookError)
  )
  t.match(judge(error('57P01', 'FATAL'), 'statement', client), { failure: 'disconnect' })
  t.match(judge(REFUSED, 'connect', undefined), { failure: 'unavailable' })
  t.strictSame(reported, [mistake, mistake])
})

t.test('A17: a hook whose answer is no answer is reported, and overrides nothing', async t => {
  for (const answer of [Promise.resolve(true), null, 'yes', 1, {}, { disconnect: 'no' }]) {
    const reported: unknown[] = []
    const hook = (() => answer) as unknown as IsDisconnect
    const judge = createJudge(hook, hookError => reported.push(hookError))
    t.match(judge(error('57P01', 'FATAL'), 'statement', client), {
      failure: 'disconnect',
      scope: 'generation'
    })
    t.equal(reported.length, 1)
  }
})
