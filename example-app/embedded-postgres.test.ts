import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, cp, lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { programEnvironment } from '../test/fixtures/program-environment.js'
import { startEmbeddedPostgres } from './embedded-postgres.js'
import {
  findBinaries,
  findInstalled,
  findServerUser,
  giveTo
} from './embedded-postgres-binaries.js'

const MODULE = import.meta.resolve('./embedded-postgres.ts')

t.test('a server of its own', async t => {
  const postgres = await startEmbeddedPostgres({ settings: { max_connections: '7' } })
  t.teardown(() => postgres.remove())

  t.test('is reached by URL and password, and takes settings', async t => {
    t.match(await query(postgres.url, 'show server_version'), [{ server_version: /^18\./ }])
    t.match(await query(postgres.url, 'show listen_addresses'), [{ listen_addresses: '127.0.0.1' }])
    t.match(await query(postgres.url, 'show max_connections'), [{ max_connections: '7' }])
    const strangers = new URL(postgres.url)
    strangers.password = 'guessed'
    await t.rejects(query(strangers.href, 'select 1'), { code: '28P01' })
  })

  t.test('comes back on the same port with the same data', async t => {
    await query(postgres.url, 'create table survivors as select 1 as n')
    const first = postgres.pid
    await postgres.stop()
    t.equal(postgres.pid, undefined)
    t.notOk(isAlive(first), 'no process is left when stop() resolves')
    await t.rejects(query(postgres.url, 'select 1'), { code: 'ECONNREFUSED' })
    await postgres.start()
    t.match(await query(postgres.url, 'select n from survivors'), [{ n: 1 }])
    await postgres.restart('immediate')
    t.match(await query(postgres.url, 'select n from survivors'), [{ n: 1 }])
    t.not(postgres.pid, first)
  })

  t.test('says why another one does not start', async t => {
    const { port } = postgres
    await t.rejects(startEmbeddedPostgres({ port }), { message: /could not bind/ })
  })

  t.test('may be started, stopped and removed twice', async t => {
    const { pid } = postgres
    await postgres.start()
    t.equal(postgres.pid, pid)
    await Promise.all([postgres.stop('fast'), postgres.stop('immediate')])
    await postgres.stop()
    t.equal(postgres.pid, undefined)
    await postgres.remove()
    await postgres.remove()
    t.notOk(existsSync(postgres.dataDirectory))
    await t.rejects(postgres.start(), { message: 'the server has been removed' })
  })
})

t.test('keeps a data directory of the caller, and starts a copy of it', async t => {
  const folder = await temporaryFolder(t)
  const [kept, copied] = [join(folder, 'kept'), join(folder, 'copied')]
  {
    await using postgres = await startEmbeddedPostgres({ dataDirectory: kept })
    await query(postgres.url, 'create table survivors as select 1 as n')
  }
  await cp(kept, copied, { recursive: true })
  for (const dataDirectory of [kept, copied]) {
    await using postgres = await startEmbeddedPostgres({ dataDirectory })
    t.match(await query(postgres.url, 'select n from survivors'), [{ n: 1 }])
  }
})

t.test('does not take over a folder with other things in it', async t => {
  const dataDirectory = await temporaryFolder(t)
  await writeFile(join(dataDirectory, 'letters.txt'), '')
  await t.rejects(startEmbeddedPostgres({ dataDirectory }), { message: /neither empty nor/ })
  t.strictSame(await readdir(dataDirectory), ['letters.txt'])
})

t.test('runs from an installation that is closed, write-protected and without links', async t => {
  const [closed, folder] = [await temporaryFolder(t), await temporaryFolder(t)]
  const installed = join(closed, 'native')
  const isNoLink = async (path: string) => !(await lstat(path)).isSymbolicLink()
  await cp(findInstalled(), installed, { recursive: true, filter: isNoLink })
  await chmod(closed, 0o700)
  await chmod(join(installed, 'lib'), 0o500)
  t.teardown(() => chmod(join(installed, 'lib'), 0o700))

  // As root the server's user cannot enter, as anybody else we cannot write: both end in a copy.
  const user = await findServerUser()
  await giveTo(user, folder)
  const native = await findBinaries(user, folder, installed)
  t.equal(native, join(folder, 'native'))
  const initdb = promisify(execFile)(join(native, 'bin/initdb'), ['--version'], user)
  t.match(await initdb, { stdout: /PostgreSQL/ })
})

const STAY = 'setInterval(() => {}, 1000)'
const endings: [how: string, code: string, signal?: NodeJS.Signals][] = [
  ['SIGKILL', STAY, 'SIGKILL'],
  ['SIGTERM', STAY, 'SIGTERM'],
  ['SIGINT', STAY, 'SIGINT'],
  ['process.exit()', 'process.exit()'],
  ['an uncaught exception', 'throw new Error("meant to be thrown")'],
  ['having nothing more to do', '']
]
t.jobs = endings.length
for (const [how, code, signal] of endings) {
  const name = `leaves neither a process nor a file when the program ends by ${how}`
  t.test(name, { buffered: true }, async t => {
    const program = startProgram(`
      import { startEmbeddedPostgres } from '${MODULE}'
      const { pid, dataDirectory } = await startEmbeddedPostgres()
      process.stdout.write(JSON.stringify({ pid, dataDirectory }), () => { ${code} })`)
    const exit = once(program, 'exit')
    const [line] = await once(program.stdout, 'data')
    const { pid, dataDirectory } = JSON.parse(String(line))
    if (signal) program.kill(signal)
    await exit

    const folder = dirname(dataDirectory)
    await until(() => !isAlive(pid) && !existsSync(folder) && processesAbout(folder) === 0)
    t.pass('all is gone')
  })
}

function startProgram(code: string) {
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', code]
  const env = programEnvironment()
  return spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'ignore'] })
}

/** No event tells of the end of a process that is not a child of ours. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5)
}

function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Where the system tells, that is on Linux: the server's, the keeper's. */
function processesAbout(folder: string): number {
  if (!existsSync('/proc/self/cmdline')) return 0
  const commands = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return commands.filter(pid => readIfThere(`/proc/${pid}/cmdline`).includes(folder)).length
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** Not t.testdir(): as root the server is another user, who may not enter the checkout. */
async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-postgres-test-'))
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true }))
  return folder
}
